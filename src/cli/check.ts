// `burgee check`: whether this build could run with this configuration. The launcher asks it of a build before it hands the
// service over; an operator may ask before a start. It opens no port and no store, and writes nothing.
import { buildInfo } from '../build-info.ts';
import { loadConfig } from '../config.ts';
import { readTls, type Tls } from '../tls.ts';

export interface Parts {
  /** What would serve, a few words each. Rejects with what cannot be loaded. */
  readonly worker: () => Promise<readonly string[]>;
  readonly primary: () => Promise<void>;
}

/** One line about what was found good. Throws ConfigError, or an error whose message names what cannot be loaded. */
export async function check(env: NodeJS.ProcessEnv, parts: Parts): Promise<string> {
  const tls = readTls(loadConfig(env), Date.now());
  const [serving] = await Promise.all([named('worker', parts.worker), named('primary', parts.primary)]);
  const { version, build } = buildInfo();
  return `burgee ${version} (build ${build}): the configuration and all parts are good; ${[...serving, ...tlsWords(tls)].join('; ')}.`;
}

function tlsWords(tls: Tls | undefined): readonly string[] {
  if (tls === undefined) return ['plain HTTP'];
  const until = new Date(tls.notAfterMs).toISOString();
  return [`HTTPS, certificate ${tls.serialNumber} until ${until}`, ...tls.warnings];
}

async function named<T>(process: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new CheckFailed(`the ${process} cannot be loaded: ${describe(error)}`, { cause: error });
  }
}

/** Its message is for the operator, in one line. */
export class CheckFailed extends Error {
  override readonly name = 'CheckFailed';
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name === 'Error' ? '' : `${error.name}: `}${error.message.split('\n')[0]}`;
}
