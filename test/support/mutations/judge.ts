// What became of a mutated message, held against what must become of it. Answers are compared with single evaluations
// over HTTP.
import { decodeReply } from '../binary-client.ts';
import type { Meaning, MeantContext } from './meaning.ts';
import type { Payload } from './mutate-message.ts';
import type { WireOutcome } from './mutate-wire.ts';

export interface Single {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the reply of an evaluation
  readonly body: any;
}

export interface TrialDeps {
  readonly port: number;
  /** May read and evaluate in prod, and nowhere else. */
  readonly key: string;
  /** All flags of prod, sorted. */
  readonly flagIds: readonly string[];
  /** POST /flags/{flag_id}/evaluate with this body. */
  readonly evaluate: (flagId: string, json: string) => Promise<Single>;
}

/** Asks each question once: thousands of users of a frame are a few different ones. */
export function rememberAnswers(evaluate: TrialDeps['evaluate']): TrialDeps['evaluate'] {
  const known = new Map<string, Promise<Single>>();
  return (flagId, json) => {
    const question = `${flagId} ${json}`;
    const answer = known.get(question) ?? evaluate(flagId, json);
    known.set(question, answer);
    return answer;
  };
}

export interface Trial {
  readonly mutation: string;
  readonly frames: Buffer;
  readonly payload: Payload;
  readonly wire: WireOutcome;
}

export type Reply = Record<string, unknown> | Buffer;

export interface Heard {
  /** Messages, but for the answer to the sentinel. */
  readonly replies: readonly Reply[];
  /** undefined: still open. */
  readonly ending: { readonly code: number | undefined } | undefined;
  readonly isLate: boolean;
}

export interface Hearing {
  readonly deps: TrialDeps;
  readonly trial: Trial;
  readonly meaning: Meaning;
  /** As prepared. */
  readonly flags: readonly Prepared[];
  readonly heard: Heard;
}

export interface Prepared {
  readonly flag_id: string;
  readonly variants: readonly string[];
}

export interface Verdict {
  /** In a few words, the same for all of its kind. */
  readonly outcome: string;
  /** Set when it is not what the contract says: what came instead. */
  readonly wrong: string | undefined;
}

function right(outcome: string): Verdict {
  return { outcome, wrong: undefined };
}

function wrong(what: string): Verdict {
  return { outcome: 'WRONG', wrong: what };
}

/** Everything must be answered or closed with a code, and by what HTTP says. */
export async function judge(hearing: Hearing): Promise<Verdict> {
  const { trial, meaning, heard } = hearing;
  const { replies, ending } = heard;
  if (heard.isLate) return wrong(`nothing in time`);
  if (trial.wire === 'ended' || trial.wire === 'incomplete') {
    const answer = replies.find((reply) => Buffer.isBuffer(reply) || reply['type'] !== 'error');
    if (answer !== undefined) return wrong(`answered by ${show(answer)}`);
    return right(
      trial.wire === 'incomplete' ? `waited for the rest until the client left` : `broken frames: ${how(ending)}`,
    );
  }
  if (ending !== undefined) {
    if (trial.wire === 'refused') return right(`broken frames: ${how(ending)}`);
    const refused = meaning.kind === 'invalid' && ending.code !== undefined && ending.code !== 1011;
    return refused ? right(`closed with ${ending.code}`) : wrong(`${ending.code ?? 'cut'} for ${meaning.kind}`);
  }
  if (meaning.kind === 'silent') {
    const answer = replies.find((reply) => Buffer.isBuffer(reply) || reply['type'] !== 'stats');
    return answer === undefined ? right('nothing to answer') : wrong(`answered by ${show(answer)}`);
  }
  const [reply] = replies;
  if (replies.length > 1 || reply === undefined)
    return wrong(`${replies.length} answers: ${replies.map(show).join(' ')}`);
  if (!Buffer.isBuffer(reply) && reply['type'] === 'error') return judgeError(hearing, reply);
  switch (meaning.kind) {
    case 'invalid':
      return wrong(`invalid, and answered by ${show(reply)}`);
    case 'pong':
      return !Buffer.isBuffer(reply) && reply['type'] === 'pong' && reply['id'] === meaning.id
        ? right('answered')
        : wrong(`ping answered by ${show(reply)}`);
    case 'prepared':
      return judgePrepared(hearing.deps, meaning, reply);
    case 'evaluations':
      return judgeResults(hearing.deps, meaning, reply);
    case 'cells':
      return judgeCells(hearing, meaning, reply);
  }
}

function how(ending: Heard['ending']): string {
  return ending?.code === undefined ? 'cut' : `closed with ${ending.code}`;
}

/** Right for what is invalid, by this model or by what HTTP says. */
async function judgeError({ deps, meaning }: Hearing, reply: Record<string, unknown>): Promise<Verdict> {
  const { code, message, id } = reply;
  if (typeof code !== 'string' || typeof message !== 'string' || message === '')
    return wrong(`bad error ${show(reply)}`);
  const expectedId = meaning.kind === 'silent' ? undefined : meaning.id;
  if (expectedId !== undefined && id !== expectedId)
    return wrong(`error for id ${id}, not ${expectedId}: ${show(reply)}`);
  if (code === 'INTERNAL') return wrong(show(reply));
  const isAllowed =
    meaning.kind === 'invalid' ||
    ((meaning.kind === 'evaluations' || meaning.kind === 'prepared') && meaning.mayFail) ||
    ((meaning.kind === 'evaluations' || meaning.kind === 'cells') && !(await allValid(deps, meaning.contexts)));
  return isAllowed ? right(`refused with ${code}`) : wrong(`valid, and refused: ${show(reply)}`);
}

function judgePrepared(deps: TrialDeps, meaning: Extract<Meaning, { kind: 'prepared' }>, reply: Reply): Verdict {
  if (Buffer.isBuffer(reply) || reply['type'] !== 'prepared' || reply['id'] !== meaning.id) {
    return wrong(`prepare answered by ${show(reply)}`);
  }
  const flags = reply['flags'] as readonly Prepared[];
  const expected = meaning.flagIds ?? deps.flagIds;
  const isRight =
    flags.length === expected.length &&
    flags.every(
      ({ flag_id: id, variants }, i) => id === expected[i] && variants.length > 0 === deps.flagIds.includes(id),
    );
  return isRight ? right('answered') : wrong(`prepared other flags: ${show(reply)}`);
}

async function judgeResults(
  deps: TrialDeps,
  meaning: Extract<Meaning, { kind: 'evaluations' }>,
  reply: Reply,
): Promise<Verdict> {
  if (Buffer.isBuffer(reply) || reply['type'] !== meaning.reply || reply['id'] !== meaning.id) {
    return wrong(`evaluation answered by ${show(reply)}`);
  }
  const rows = (meaning.reply === 'result' ? [reply['results']] : reply['results']) as Record<string, unknown>[];
  if (rows.length !== meaning.contexts.length) return wrong(`${rows.length} rows: ${show(reply)}`);
  const asked = new Set(meaning.flagIds ?? deps.flagIds);
  for (const [i, context] of meaning.contexts.entries()) {
    const row = rows[i] as Record<string, unknown>;
    if (Object.keys(row).length !== asked.size) return wrong(`${Object.keys(row).length} flags: ${show(reply)}`);
    for (const flagId of asked) {
      const single = await singleOf(deps, flagId, context);
      const got = Object.hasOwn(row, flagId) ? JSON.stringify(row[flagId]) : 'nothing';
      const expected = single === undefined ? '{"error":"FLAG_NOT_FOUND"}' : batchItem(single);
      if (got !== expected) return wrong(`${flagId} of ${show(context)}: ${got}, single ${expected}`);
    }
  }
  return right('answered');
}

async function judgeCells(
  { deps, flags }: Hearing,
  meaning: Extract<Meaning, { kind: 'cells' }>,
  reply: Reply,
): Promise<Verdict> {
  if (!Buffer.isBuffer(reply)) return wrong(`a binary request answered by ${show(reply)}`);
  const decoded = decodeReply(reply);
  const { id, isPacked, userCount, flagCount } = decoded;
  if (
    id !== meaning.id ||
    isPacked !== meaning.packed ||
    userCount !== meaning.contexts.length ||
    flagCount !== flags.length
  ) {
    return wrong(`the head of another reply: ${show(reply)}`);
  }
  for (const [user, context] of meaning.contexts.entries()) {
    for (const [i, { flag_id: flagId, variants }] of flags.entries()) {
      const single = (await singleOf(deps, flagId, context)) as Single;
      const cell = decoded.cell(user, i);
      const isSame = isPacked ? (cell === 1) === single.body.enabled : variants[cell] === single.body.variant;
      if (!isSame) return wrong(`${flagId} of ${show(context)}: cell ${cell}, single ${batchItem(single)}`);
    }
  }
  return right('answered');
}

async function allValid(deps: TrialDeps, contexts: readonly MeantContext[]): Promise<boolean> {
  for (const context of contexts) {
    if ((await deps.evaluate(deps.flagIds[0] as string, bodyOf(context))).status !== 200) return false;
  }
  return true;
}

/** undefined: there is no such flag. */
async function singleOf(deps: TrialDeps, flagId: string, context: MeantContext): Promise<Single | undefined> {
  const isKnown = deps.flagIds.includes(flagId);
  const single = await deps.evaluate(isKnown ? flagId : (deps.flagIds[0] as string), bodyOf(context));
  return isKnown || single.status !== 200 ? single : undefined;
}

function bodyOf({ userId, attributes }: MeantContext): string {
  const rest = attributes === undefined ? '' : `,"attributes":${attributes}`;
  return `{"user_id":${JSON.stringify(userId)},"environment":"prod"${rest}}`;
}

/** What a batch says of an answer, from the reply to a single evaluation. */
function batchItem({ status, body }: Single): string {
  if (status !== 200) return `status ${status} ${body.code}`;
  const { enabled, variant, value, reason, version, rule_id: ruleId } = body;
  return JSON.stringify({
    enabled,
    variant,
    value,
    reason,
    ...(ruleId === undefined ? {} : { rule_id: ruleId }),
    version,
  });
}

function show(value: unknown): string {
  const text = Buffer.isBuffer(value) ? value.toString('hex') : JSON.stringify(value);
  return text.slice(0, 400);
}
