// The burgee command: what an operator needs when the HTTP API is out of reach, above all a first or a lost admin key. It
// speaks to the running primary over the local socket, which only the service's own user can open; when no service runs
// on DATA_DIR it opens the embedded database itself, under the same lock.
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { buildInfo } from '../build-info.ts';
import { loadConfig } from '../config.ts';
import { createFrameReader, decodeToWorker, encodeToPrimary } from '../ipc/frame.ts';
import type { Command, CommandOutcome, CommandRequest, Grantor } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import { lockDataDir } from '../run/data-dir-lock.ts';
import { ownIdentity } from '../run/process-identity.ts';
import { openRunDir, type RunDir } from '../run/run-dir.ts';
import { migrate } from '../storage/migrate.ts';
import { openPglite } from '../storage/pglite.ts';
import { createStore } from '../storage/sql-store.ts';
import { USAGE } from './usage.ts';

const ANSWER_MS_MAX = 15_000;
/** The local socket is the operator's own: everything may be handed on. */
const EVERYTHING: Grantor = { scopes: ['admin'], environments: undefined, tags: undefined };

/** Runs one command; resolves with the exit code: 0 done, 1 refused, 2 not understood. Throws Owned, ConfigError. */
export async function runCli(args: readonly string[]): Promise<number> {
  if (args.slice(1).some((argument) => argument === '--help' || argument === '-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const parsed = parseCommand(args);
  if (typeof parsed === 'string') {
    process.stderr.write(`burgee: ${parsed}\n\n${USAGE}`);
    return 2;
  }
  const runDir = openRunDir(loadConfig(process.env).dataDir);
  const request: CommandRequest = {
    id: 1,
    actor: 'cli',
    requestId: `cli-${process.pid}`,
    tags: undefined,
    idempotency: undefined,
    command: parsed,
  };
  const outcome = (await askService(runDir, request)) ?? (await runAlone(runDir, request));
  if (outcome.ok) {
    process.stdout.write(`${JSON.stringify(JSON.parse(outcome.body), undefined, 2)}\n`);
    return 0;
  }
  process.stderr.write(`burgee: ${outcome.code}: ${outcome.detail}\n`);
  // The first one is the detail.
  for (const issue of outcome.issues?.slice(1) ?? []) process.stderr.write(`  ${issue.path}: ${issue.message}\n`);
  return 1;
}

/** A command, or what is wrong with the arguments. */
function parseCommand(args: readonly string[]): Command | string {
  const [noun, verb, ...rest] = args;
  if (noun !== 'keys') return `unknown command ${noun ?? ''}`;
  try {
    switch (verb) {
      case 'create':
        return { type: 'key.create', grantor: EVERYTHING, body: keyBody(rest) };
      case 'list':
        return { type: 'key.list', grantor: EVERYTHING, cursor: undefined, limit: limits.listPageMax };
      case 'revoke': {
        const [keyId, ...more] = rest;
        if (keyId === undefined || more.length > 0) return 'keys revoke takes one KEY_ID';
        return { type: 'key.revoke', grantor: EVERYTHING, keyId };
      }
      default:
        return `unknown command keys ${verb ?? ''}`;
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The body of POST /keys. Throws on an option that is not known. */
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
    throw new Error(`--rate-limit must be a whole number of requests a minute, not "${text}"`);
  return Number(text);
}

/** undefined when no service listens on DATA_DIR's socket. */
function askService(runDir: RunDir, request: CommandRequest): Promise<CommandOutcome | undefined> {
  return new Promise((resolve) => {
    const socket = connect(runDir.socketPath());
    const unknown: CommandOutcome = {
      ok: false,
      code: 'OUTCOME_UNKNOWN',
      detail: 'the service did not answer in time; look with `burgee keys list`',
    };
    const timer = setTimeout(() => settle(unknown), ANSWER_MS_MAX);
    let connected = false;
    function settle(outcome: CommandOutcome | undefined): void {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    }
    const reader = createFrameReader(limits.ipcFrameBytesMax, (type, bytes) => {
      const message = decodeToWorker(type, bytes);
      if (message?.type === 'outcome') settle(message.outcome);
    });
    socket.on('connect', () => {
      connected = true;
      const { startTime } = ownIdentity();
      socket.write(
        encodeToPrimary({
          type: 'hello',
          role: 'cli',
          pid: process.pid,
          startTime,
          slot: 0,
          build: buildInfo().build,
          epoch: '',
          revision: 0,
          leases: [],
        }),
      );
      socket.write(encodeToPrimary({ type: 'command', request }));
    });
    socket.on('data', (chunk: Buffer) => reader.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => settle(connected ? unknown : undefined));
  });
}

async function runAlone(runDir: RunDir, request: CommandRequest): Promise<CommandOutcome> {
  const lock = await lockDataDir(runDir, { onLost: () => process.exit(1) });
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const sql = await openPglite({ dataDir: runDir.dataDir, onProgress: say });
  const store = createStore(sql);
  try {
    await migrate(sql);
    return await store.run(request);
  } finally {
    await store.close();
    await lock.close();
  }
}
