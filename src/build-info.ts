// Which build this is: for /version, --version, and a primary that tells its own build's workers from another's.
import { readFileSync } from 'node:fs';

export interface BuildInfo {
  /** The package's version. */
  readonly version: string;
  /** The first 12 hex digits of the hash over the sources that dist was built from; "dev" in an unbuilt tree. */
  readonly build: string;
}

let cached: BuildInfo | undefined;

/** Read once, then kept: a build that replaces dist under a running process does not change what that process is. */
export function buildInfo(): BuildInfo {
  cached ??= readBuildInfo();
  return cached;
}

function readBuildInfo(): BuildInfo {
  const built = readJson(new URL('./build.json', import.meta.url));
  if (built !== undefined) return { version: text(built['version']), build: text(built['build']) };
  const manifest = readJson(new URL('../package.json', import.meta.url));
  return { version: text(manifest?.['version']), build: 'dev' };
}

function readJson(url: URL): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(readFileSync(url, 'utf8')) as Readonly<Record<string, unknown>>;
  } catch {
    // An unbuilt tree has no build.json; nothing that is served depends on it.
    return undefined;
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : 'unknown';
}
