// One mutated message on a socket of its own: made, sent, and listened for.

import { createRandom } from '../random.ts';
import { clientFrame, openRawWebSocket, type RawWebSocket, textFrame } from '../raw-web-socket.ts';
import { type Heard, judge, type Reply, type Trial, type TrialDeps, type Verdict } from './judge.ts';
import { type Meaning, meaningOfBinary, meaningOfText, utf8 } from './meaning.ts';
import { messageMutations, validMessage } from './mutate-message.ts';
import { opcodeOf, wireMutations } from './mutate-wire.ts';

export interface TrialResult extends Verdict {
  readonly mutation: string;
  /** The beginning of what was sent, in hex. */
  readonly sent: string;
}

/** None of the ids that a mutation gives to a message. */
const SENTINEL_ID = 4_294_967_293;
const ANSWER_TIMEOUT_MS = 10_000;
const SENT_SHOWN_BYTES = 300;
const WIRE_SHARE = 0.2;

/** The trial of a number: the same for the same numbers. */
export async function runTrial(deps: TrialDeps, seed: number): Promise<TrialResult> {
  const socket = await openRawWebSocket({ port: deps.port, key: deps.key });
  try {
    socket.write(textFrame({ type: 'prepare', id: 0, environment: 'prod' }));
    const { handle, flags } = await socket.nextJson();
    const trial = makeTrial(deps, seed, handle);
    const meaning = meaningOf(trial, handle);
    socket.write(trial.frames);
    const isOver = trial.wire === 'ended' || trial.wire === 'incomplete';
    if (trial.wire === 'incomplete') socket.socket.end();
    if (!isOver) socket.write(textFrame({ type: 'ping', id: SENTINEL_ID }));
    const heard = await listen(socket, isOver, meaning.kind !== 'silent');
    const found = await judge({ deps, trial, meaning, flags, heard });
    const sent = trial.frames.toString('hex', 0, SENT_SHOWN_BYTES);
    return { mutation: trial.mutation, sent, ...found };
  } finally {
    socket.close();
  }
}

function makeTrial(deps: TrialDeps, seed: number, handle: number): Trial {
  const random = createRandom(seed);
  const valid = validMessage(random, deps.flagIds, handle);
  if (random.float() < WIRE_SHARE) {
    const { name, outcome, apply } = random.pick(wireMutations);
    return { mutation: name, frames: apply(valid, random), payload: valid, wire: outcome };
  }
  const kind = valid.isBinary ? 'binary' : 'json';
  const { name, apply } = random.pick(messageMutations.filter((each) => each.of === 'any' || each.of === kind));
  // Now and then in the wrong kind of frame.
  const isBinary = random.below(50) === 0 ? !valid.isBinary : valid.isBinary;
  const payload = { isBinary, bytes: apply(valid.bytes, random) };
  const isText = isBinary || utf8(payload.bytes) !== undefined;
  return {
    mutation: name,
    frames: clientFrame(opcodeOf(payload), payload.bytes),
    payload,
    wire: isText ? 'answered' : 'ended',
  };
}

function meaningOf(trial: Trial, handle: number): Meaning {
  if (trial.wire === 'refused') return { kind: 'invalid', id: undefined };
  if (trial.wire !== 'answered') return { kind: 'silent' };
  const { isBinary, bytes } = trial.payload;
  return isBinary ? meaningOfBinary(bytes, handle) : meaningOfText(bytes.toString(), 'prod');
}

/** Until the connection ends, or the sentinel and, where one is due, the answer are there. */
async function listen(socket: RawWebSocket, untilEnd: boolean, answerIsDue: boolean): Promise<Heard> {
  const replies: Reply[] = [];
  let sentinelCame = false;
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    socket.close();
  }, ANSWER_TIMEOUT_MS);
  try {
    for (;;) {
      const arrival = await socket.next();
      if (arrival.kind === 'close') return { replies, ending: { code: arrival.code }, isLate };
      if (arrival.kind === 'cut') return { replies, ending: { code: undefined }, isLate };
      if (arrival.kind === 'binary') replies.push(arrival.bytes);
      if (arrival.kind === 'text') {
        const message = parse(arrival.text);
        if (message.type === 'pong' && message.id === SENTINEL_ID) sentinelCame = true;
        else replies.push(message);
      }
      if (!untilEnd && sentinelCame && (replies.length > 0 || !answerIsDue)) {
        return { replies, ending: undefined, isLate };
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    return { type: 'no JSON', text };
  }
}
