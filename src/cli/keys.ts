// `burgee keys`: what an operator needs when the HTTP API is out of reach, above all a first or a lost admin key.
import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';
import type { Command, Grantor } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { UsageError } from './failure.ts';
import { askService, report, runStraight } from './run-command.ts';

/** The local socket is the operator's own: everything may be handed on. */
const EVERYTHING: Grantor = { scopes: ['admin'], environments: undefined, tags: undefined };

/** Resolves with the exit code. Throws UsageError. */
export async function runKeys(args: readonly string[], readConfig: () => Config): Promise<number> {
  const command = parseKeys(args);
  const config = readConfig();
  return report((await askService(config, command)) ?? (await runStraight(config, command)));
}

function parseKeys([verb, ...rest]: readonly string[]): Command {
  switch (verb) {
    case 'create':
      return { type: 'key.create', grantor: EVERYTHING, body: keyBody(rest) };
    case 'list':
      if (rest.length > 0) throw new UsageError('keys list takes nothing more');
      return { type: 'key.list', grantor: EVERYTHING, cursor: undefined, limit: limits.listPageMax };
    case 'revoke': {
      const [keyId, ...more] = rest;
      if (keyId === undefined || more.length > 0) throw new UsageError('keys revoke takes one KEY_ID');
      return { type: 'key.revoke', grantor: EVERYTHING, keyId };
    }
    default:
      throw new UsageError(`unknown command keys ${verb ?? ''}`);
  }
}

/** The body of POST /keys. */
function keyBody(args: readonly string[]): Record<string, unknown> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      name: text,
      scopes: text,
      environments: text,
      tags: text,
      'rate-limit': text,
      'expires-at': text,
      hash: text,
    },
  });
  const list = (value: string | undefined): string[] | undefined => value?.split(',').map((part) => part.trim());
  const body = {
    name: values.name ?? 'cli',
    scopes: list(values.scopes) ?? ['admin'],
    environments: list(values.environments),
    tags: list(values.tags),
    rate_limit: readRateLimit(values['rate-limit']),
    expires_at: values['expires-at'],
    hash: values.hash,
  };
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
}

// NaN would travel as null, which is the default: for an admin key, no limit at all.
function readRateLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text))
    throw new UsageError(`--rate-limit must be a whole number of requests a minute, not "${text}"`);
  return Number(text);
}
