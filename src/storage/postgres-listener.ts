// News of writes from PostgreSQL itself: a connection of its own that listens on the channel `burgee`. All of it is help: a
// hint that is lost costs until the next poll. Behind a pooler that hands connections from transaction to transaction
// nothing is ever heard; that is found out, said once, and left at that.
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { limits } from '../limits.ts';
import type { CancelTimer, Clock } from '../run/clock.ts';
import { connectionConfig, problemOf } from './postgres-connection.ts';

const CHANNEL = 'burgee';
/** A hint is a revision in decimal; anything else is none. */
const REVISION = /^[1-9]\d{0,15}$/;
const STATEMENT_MS_MAX = 5_000;
/** Until what another connection says must have been heard. */
const HEARD_MS_MAX = 2_000;
const RETRY_MS_MIN = 250;
/** Somebody may set the pooler right. */
const UNHEARD_RETRY_MS = 300_000;
const SAID_AGAIN_MS = 60_000;

export interface PostgresListener {
  /** Listens from now on, and again whenever the connection was lost. */
  start(): void;
  /** Hints come. */
  readonly connected: boolean;
  /** Resolves at once when called again. */
  close(): Promise<void>;
}

export interface PostgresListenerOptions {
  readonly url: string;
  /** A write made this revision, says somebody: a number to be checked, not believed. */
  readonly onHint: (revision: number) => void;
  /** Listens, for the first time or again: what was written before may have gone unheard. */
  readonly onConnected: () => void;
  readonly clock: Clock;
  /** From 0 to 1: nodes that lost one server must not all come back in one moment. */
  readonly random: () => number;
  readonly warn: (fields: object, message: string) => void;
}

export function createPostgresListener(options: PostgresListenerOptions): PostgresListener {
  const { url, onHint, onConnected, clock, random, warn } = options;
  let started = false;
  let closed = false;
  let connected = false;
  let current: Client | undefined;
  let done: Promise<void> = Promise.resolve();
  let wake: () => void = () => {};
  let said = { text: '', atMs: Number.NEGATIVE_INFINITY };

  async function run(): Promise<void> {
    for (let failures = 0; !closed; failures++) {
      let waitMs = (0.5 + 0.5 * random()) * Math.min(limits.hintRetryMsMax, RETRY_MS_MIN * 2 ** failures);
      try {
        if (await listenOnce()) failures = 0;
        else waitMs = UNHEARD_RETRY_MS;
      } catch (error) {
        if (connected) failures = 0;
        say(`PostgreSQL sends no hints of changes; polling goes on: ${problemOf(error).text}`);
      }
      connected = false;
      if (!closed) await pause(waitMs);
    }
  }

  /** Resolves with false when nothing would ever be heard, else rejects when the connection is lost. */
  async function listenOnce(): Promise<boolean> {
    const client = new Client({ ...connectionConfig(url, 'burgee hints'), query_timeout: STATEMENT_MS_MAX });
    current = client;
    let processId = 0;
    client.connection.once('backendKeyData', ({ processID }: { processID: number }) => {
      processId = processID;
    });
    let lose: (error: Error) => void = () => {};
    const lost = new Promise<never>((_, reject) => {
      lose = reject;
    });
    lost.catch(() => {});
    client.on('error', (error) => lose(error));
    client.on('end', () => lose(new Error('the connection was closed')));
    client.on('notification', ({ channel, payload = '' }) => {
      if (channel === CHANNEL && REVISION.test(payload)) onHint(Number(payload));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      if (!(await hears(client, processId))) {
        await client.query('UNLISTEN *').catch(() => {});
        say(
          'a pooler stands before PostgreSQL and hands connections on after each transaction, so LISTEN hears nothing: ' +
            'changes are found by Redis, where there is one, and by polling',
        );
        return false;
      }
      connected = true;
      onConnected();
      for (;;) {
        await Promise.race([lost, pause(limits.hintLiveMsMax)]);
        if (closed) return true;
        await Promise.race([lost, client.query('SELECT 1')]);
      }
    } finally {
      current = undefined;
      wake();
      client.connection.stream.destroy();
    }
  }

  /**
   * Who speaks to the server's own process hears it. Through a pooler it depends on the pooler: whether a word of another
   * connection arrives while this one does nothing.
   */
  async function hears(client: Client, processId: number): Promise<boolean> {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    if (rows[0]?.pid === processId) return true;
    const word = `probe ${randomBytes(8).toString('hex')}`;
    const heard = new Promise<true>((resolve) => {
      client.on('notification', ({ payload }) => {
        if (payload === word) resolve(true);
      });
    });
    const other = new Client({ ...connectionConfig(url, 'burgee hints probe'), query_timeout: STATEMENT_MS_MAX });
    other.on('error', () => {});
    try {
      await other.connect();
      await other.query('SELECT pg_notify($1, $2)', [CHANNEL, word]);
      return await Promise.race([heard, pause(HEARD_MS_MAX).then(() => false)]);
    } finally {
      wake();
      other.connection.stream.destroy();
    }
  }

  /** The same problem at most once a minute. */
  function say(text: string): void {
    const atMs = clock.nowMs();
    if (closed || (said.text === text && atMs - said.atMs < SAID_AGAIN_MS)) return;
    said = { text, atMs };
    warn({}, text);
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel: CancelTimer = clock.after(ms, resolve);
      wake = () => {
        cancel();
        resolve();
      };
    });
  }

  return {
    get connected() {
      return connected;
    },
    start() {
      if (started || closed) return;
      started = true;
      done = run();
    },
    async close() {
      closed = true;
      current?.connection.stream.destroy();
      wake();
      await done;
      connected = false;
    },
  };
}
