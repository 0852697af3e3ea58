// The same contexts asked by every way there is, and each answer held against core's evaluate() in this process.
import { type Connection, openConnection } from '../../../chaos/connection.ts';
import type { Outcome } from '../../../src/core/compiled.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { decodeReply, encodeRequest } from '../binary-client.ts';
import { createRandom } from '../random.ts';
import { clientFrame, OPCODE, openRawWebSocket, type RawWebSocket, textFrame } from '../raw-web-socket.ts';
import type { ManyFlags, SharedContext } from './many-flags.ts';

export interface Comparison {
  /** By way: (user, flag) pairs whose answers were compared. */
  readonly compared: Map<string, number>;
  /** By way: those that differ. */
  readonly differences: Map<string, number>;
  /** Of the pairs: what the answers were given for, so that it shows what was compared. */
  readonly reasons: Map<string, number>;
  /** The first few in words. */
  readonly examples: string[];
}

export interface CompareOptions {
  readonly port: number;
  /** May evaluate in prod, and nowhere else. */
  readonly key: string;
  readonly many: ManyFlags;
  readonly contexts: readonly SharedContext[];
  /** About so many pairs are also asked one by one, picked from all. */
  readonly singles: number;
  /** Clients at once. */
  readonly lanes: number;
}

const CONTEXTS_PER_BATCH = 50;
const EXAMPLES_MAX = 20;

interface Lane {
  readonly http: Connection;
  readonly socket: RawWebSocket;
  readonly handle: number;
  readonly variants: readonly (readonly string[])[];
}

/** One batch: contexts that all have attributes, or none of which has. */
interface Batch {
  readonly contexts: readonly SharedContext[];
  readonly expected: readonly (readonly Outcome[])[];
}

type Check = (way: string, batch: Batch, user: number, flag: number, got: unknown, expected: unknown) => void;

export async function compareWays(options: CompareOptions): Promise<Comparison> {
  const { many, contexts } = options;
  const comparison: Comparison = { compared: new Map(), differences: new Map(), reasons: new Map(), examples: [] };
  const check: Check = (way, batch, user, flag, got, expected) => {
    count(comparison.compared, way);
    if (got === expected) return;
    count(comparison.differences, way);
    if (comparison.examples.length >= EXAMPLES_MAX) return;
    const where = `${many.flagIds[flag]} for ${JSON.stringify(batch.contexts[user])}`;
    comparison.examples.push(`${way}: ${where}: ${JSON.stringify(got)}, evaluate() ${JSON.stringify(expected)}`);
  };
  const kinds = [contexts.filter((each) => each.attributes === undefined), contexts.filter((each) => each.attributes)];
  const batches = kinds.flatMap((kind) =>
    Array.from({ length: Math.ceil(kind.length / CONTEXTS_PER_BATCH) }, (_, i) =>
      kind.slice(i * CONTEXTS_PER_BATCH, (i + 1) * CONTEXTS_PER_BATCH),
    ),
  );
  const random = createRandom(1);
  const share = options.singles / (contexts.length * many.flagIds.length);
  const isSingle = (): boolean => random.float() < share;
  let next = 0;
  const work = async (): Promise<void> => {
    const lane = await openLane(options);
    try {
      while (next < batches.length) {
        const number = next++;
        const batch = expect(many, batches[number] as readonly SharedContext[]);
        for (const { reason } of batch.expected.flat()) count(comparison.reasons, reason);
        await askBinary(lane, batch, check);
        await askMessages(lane, many, batch, check, number % 2 === 0);
        await askHttp(lane, many, batch, check, number % 2 === 0);
        await askSingles(lane, many, batch, check, isSingle);
      }
    } finally {
      lane.http.close();
      lane.socket.close();
    }
  };
  await Promise.all(Array.from({ length: options.lanes }, work));
  return comparison;
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

async function openLane({ port, key, many }: CompareOptions): Promise<Lane> {
  const http = await openConnection(port, key);
  const socket = await openRawWebSocket({ port, key });
  socket.write(textFrame({ type: 'prepare', id: 1, environment: 'prod' }));
  const { handle, flags } = await socket.nextJson();
  const ids = flags.map((flag: { flag_id: string }) => flag.flag_id);
  if (JSON.stringify(ids) !== JSON.stringify(many.flagIds)) throw new Error(`prepared other flags: ${ids}`);
  return { http: patient(http), socket, handle, variants: flags.map((flag: { variants: string[] }) => flag.variants) };
}

/**
 * A worker that does all this at once on a busy machine may say that it is too much: then it is asked again. What is looked
 * at here are answers.
 */
function patient(http: Connection): Connection {
  return {
    ...http,
    async request(...asked) {
      for (;;) {
        const reply = await http.request(...asked);
        if (reply.status !== 503) return reply;
      }
    },
  };
}

/** The same for messages; the replies in the order of their questions, whose ids count up from `firstId`. */
// biome-ignore lint/suspicious/noExplicitAny: replies of every kind
async function askAll(lane: Lane, questions: readonly Record<string, unknown>[], firstId: number): Promise<any[]> {
  const send = (i: number): void => lane.socket.write(textFrame({ ...questions[i], id: firstId + i }));
  for (const i of questions.keys()) send(i);
  // biome-ignore lint/suspicious/noExplicitAny: replies of every kind
  const replies: any[] = [];
  for (let left = questions.length; left > 0; ) {
    const reply = await lane.socket.nextJson();
    const i = reply.id - firstId;
    if (reply.code === 'OVERLOADED') send(i);
    else {
      replies[i] = reply;
      left--;
    }
  }
  return replies;
}

function expect(many: ManyFlags, contexts: readonly SharedContext[]): Batch {
  const flags = many.flagIds.map((id) => many.scope.flags.get(id)!);
  const expected = contexts.map((context) => {
    const asked = { userId: context.userId, attributes: context.attributes as never };
    return flags.map((flag) => evaluate(flag, asked, many.scope, hashUser));
  });
  return { contexts, expected };
}

/** By op 1 where there are no attributes, and by op 2; a byte and a bit an answer. */
async function askBinary(lane: Lane, batch: Batch, check: Check): Promise<void> {
  const users = batch.contexts.map(({ userId, attributes }) => ({
    userId,
    attributes: JSON.stringify(attributes ?? {}),
  }));
  for (const op of batch.contexts[0]?.attributes === undefined ? [1, 2] : [2]) {
    for (const options of [0, 1]) {
      const request = encodeRequest({ op, options, handle: lane.handle, id: 7, users });
      lane.socket.write(clientFrame(OPCODE.binary, request));
      const reply = decodeReply(await lane.socket.nextBinary());
      const way = `binary op ${op}${options === 1 ? ' packed' : ''}`;
      for (const [user, row] of batch.expected.entries()) {
        for (const [flag, outcome] of row.entries()) {
          const cell = reply.cell(user, flag);
          if (reply.isPacked) check(way, batch, user, flag, cell === 1, outcome.enabled);
          else check(way, batch, user, flag, lane.variants[flag]?.[cell], outcome.variant);
        }
      }
    }
  }
}

/** In JSON over the socket: the whole batch, and each context alone; with the flags named or not. */
async function askMessages(lane: Lane, many: ManyFlags, batch: Batch, check: Check, named: boolean): Promise<void> {
  const flags = named ? { flags: many.flagIds } : {};
  const contexts = batch.contexts.map(({ userId, attributes }) => ({ user_id: userId, attributes }));
  const whole = { type: 'evaluate_batch', environment: 'prod', contexts, ...flags };
  const [reply] = await askAll(lane, [whole], 1);
  checkRows('evaluate_batch', many, batch, check, reply.results);
  const each = contexts.map((context) => ({ type: 'evaluate', environment: 'prod', ...context, ...flags }));
  const replies = await askAll(lane, each, 10);
  const rows = replies.map(({ results }) => results);
  checkRows('evaluate', many, batch, check, rows);
}

async function askHttp(lane: Lane, many: ManyFlags, batch: Batch, check: Check, named: boolean): Promise<void> {
  const contexts = batch.contexts.map(({ userId, attributes }) => ({ user_id: userId, attributes }));
  const json = { environment: 'prod', contexts, ...(named ? { flags: many.flagIds } : {}) };
  const { body } = await lane.http.request('POST', '/api/v1/evaluate', { json });
  checkRows('POST /evaluate', many, batch, check, body.results);
  for (const [user, { userId, attributes }] of batch.contexts.entries()) {
    const context = { ...attributes, targetingKey: userId };
    const reply = await lane.http.request('POST', '/ofrep/v1/evaluate/flags', { json: { context } });
    for (const [flag, outcome] of (batch.expected[user] ?? []).entries()) {
      check('OFREP bulk', batch, user, flag, ofrepText(reply.body.flags?.[flag]), ofrepText(ofrepItem(outcome)));
    }
  }
}

async function askSingles(
  lane: Lane,
  many: ManyFlags,
  batch: Batch,
  check: Check,
  isAsked: () => boolean,
): Promise<void> {
  for (const [user, { userId, attributes }] of batch.contexts.entries()) {
    for (let flag = 0; flag < many.flagIds.length; flag++) {
      if (!isAsked()) continue;
      const path = `/api/v1/flags/${many.flagIds[flag]}/evaluate`;
      const { body } =
        attributes === undefined
          ? await lane.http.request('GET', `${path}?user_id=${encodeURIComponent(userId)}`)
          : await lane.http.request('POST', path, { json: { user_id: userId, attributes } });
      const { enabled, variant, value, reason, rule_id: ruleId, version } = body;
      const got = JSON.stringify({ enabled, variant, value, reason, rule_id: ruleId, version });
      const outcome = batch.expected[user]?.[flag] as Outcome;
      check(attributes === undefined ? 'GET single' : 'POST single', batch, user, flag, got, textOf(outcome));
    }
  }
}

function checkRows(
  way: string,
  many: ManyFlags,
  batch: Batch,
  check: Check,
  rows: readonly Record<string, unknown>[] | undefined,
): void {
  for (const [user, outcomes] of batch.expected.entries()) {
    const row = rows?.[user];
    for (const [flag, outcome] of outcomes.entries()) {
      check(way, batch, user, flag, JSON.stringify(row?.[many.flagIds[flag] as string]), textOf(outcome));
    }
  }
}

const texts = new WeakMap<Outcome, string>();

/** What a batch says of an outcome, as this process would write it: numbers as JavaScript does. */
function textOf(outcome: Outcome): string {
  let text = texts.get(outcome);
  if (text === undefined) {
    const { enabled, variant, value, reason, ruleId, version } = outcome;
    text = JSON.stringify({ enabled, variant, value, reason, rule_id: ruleId, version });
    texts.set(outcome, text);
  }
  return text;
}

interface OfrepItem {
  readonly key: string;
  readonly errorCode?: string;
  readonly variant?: string;
  readonly value?: unknown;
  readonly metadata?: { readonly reason?: string; readonly rule_id?: string | undefined; readonly version?: number };
}

function ofrepItem(outcome: Outcome): OfrepItem {
  if (outcome.reason === 'BUCKET_KEY_MISSING') return { key: outcome.flagId, errorCode: 'TARGETING_KEY_MISSING' };
  const { flagId, variant, value, reason, ruleId, version } = outcome;
  return { key: flagId, variant, value, metadata: { reason, rule_id: ruleId, version } };
}

/** What both have in common: sentences and revisions are left out. */
function ofrepText(item: OfrepItem | undefined): string {
  if (item === undefined) return 'nothing';
  const { key, errorCode, variant, value, metadata } = item;
  const { reason, rule_id: ruleId, version } = metadata ?? {};
  return JSON.stringify({ key, errorCode, variant, value, reason, ruleId, version });
}
