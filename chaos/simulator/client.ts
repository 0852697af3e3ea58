// Clients that write, and repeat with the same Idempotency-Key what was not answered; and what must hold of each answer.
import type { Command, CommandOutcome } from '../../src/ipc/messages.ts';
import type { ModelStore } from './model-store.ts';
import type { Node } from './node.ts';
import type { Primary } from './primary.ts';
import type { Timeline } from './timeline.ts';

const ANSWER_MS_MAX = 2500;
const AGAIN_MS = 300;
const ATTEMPTS_MAX = 3;
const FLAGS = 3;
const KEYS = 2;

export interface Clients {
  /** `choice` says what; `onAnswer` is told the last outcome, or undefined when none came. */
  write(at: number, choice: number, onAnswer?: (outcome: CommandOutcome | undefined) => void): void;
  accept(node: Node): void;
}

export function createClients(deps: {
  readonly timeline: Timeline;
  readonly nodes: readonly Node[];
  readonly store: ModelStore;
  readonly violated: (rule: string, detail: string) => void;
  readonly say: (text: string) => void;
}): Clients {
  const { timeline, nodes, store, violated, say } = deps;
  let ids = 0;

  function judge(node: Node, primary: Primary, outcome: CommandOutcome, sent: Sent): void {
    say(`${node.name}: ${sent.key} answered ${outcome.ok ? `at ${outcome.revision}` : outcome.code}`);
    if (!outcome.ok || store.generation !== sent.generation) return;
    const commit = store.commitOf(sent.key);
    if (commit === undefined) return violated('acknowledged-write-lost', `${sent.key} at ${outcome.revision}`);
    const isNew = sent.wasNew && commit.generation === store.generation;
    if (isNew && sent.wentBack !== undefined && primary.sync.wentBack !== undefined)
      violated('acknowledged-though-refused', `${sent.key}: ${sent.wentBack}`);
    if (isNew && commit.isChange && sent.epoch === commit.epoch && sent.published >= commit.revision)
      violated(
        'acknowledged-though-known',
        `${sent.key} made ${commit.revision} again, published was ${sent.published}`,
      );
    for (const { reader, process } of node.workers) {
      if (reader.revision > 0 && reader.epoch === commit.epoch && reader.revision < commit.revision)
        violated('own-write-not-served', `${process.name} serves ${reader.revision}, ${commit.revision} was answered`);
    }
  }

  function attempt(at: number, command: Command, key: string, left: number, onAnswer: OnAnswer): void {
    const node = nodes[at % nodes.length] as Node;
    const { primary } = node;
    let isSettled = false;
    const settle = (outcome: CommandOutcome | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      if (outcome?.ok === true || left <= 1) return onAnswer(outcome);
      if (outcome !== undefined && outcome.code !== 'OUTCOME_UNKNOWN') return onAnswer(outcome);
      timeline.after(AGAIN_MS, undefined, () => attempt(at + 1, command, key, left - 1, onAnswer));
    };
    timeline.after(ANSWER_MS_MAX, undefined, () => settle(undefined));
    if (primary === undefined) return;
    const { head } = primary.publisher;
    const sent: Sent = {
      key,
      generation: store.generation,
      wasNew: store.commitOf(key) === undefined,
      wentBack: primary.sync.wentBack,
      epoch: head?.epoch,
      published: head?.revision ?? 0,
    };
    void primary.commands.run(requestOf(command, key)).then((outcome) => {
      if (!primary.process.alive || isSettled) return;
      judge(node, primary, outcome, sent);
      settle(outcome);
    });
  }

  return {
    write(at, choice, onAnswer = () => {}) {
      const key = `write-${++ids}`;
      attempt(at, commandOf(choice), key, ATTEMPTS_MAX, onAnswer);
    },
    accept(node) {
      void node.primary?.commands
        .run(requestOf({ type: 'store.accept', above: 0 }, `accept-${++ids}`))
        .then((outcome) => say(`${node.name}: accept: ${JSON.stringify(outcome)}`));
    },
  };
}

type OnAnswer = (outcome: CommandOutcome | undefined) => void;

/** What was known when a request was sent. */
interface Sent {
  readonly key: string;
  readonly generation: number;
  readonly wasNew: boolean;
  readonly wentBack: string | undefined;
  readonly epoch: string | undefined;
  readonly published: number;
}

function requestOf(command: Command, key: string) {
  return { id: 1, actor: 'simulator', requestId: key, idempotency: { key, fingerprint: '' }, command };
}

function commandOf(choice: number): Command {
  const flagId = `f${choice % FLAGS}`;
  const ifMatch = undefined;
  if (choice % 10 === 9) return { type: 'flag.archive', environment: 'prod', flagId, ifMatch };
  if (choice % 10 === 8) {
    const grantor = { scopes: [], environments: undefined, tags: undefined };
    return { type: 'key.rotate', grantor, keyId: `k${choice % KEYS}`, body: {} };
  }
  return { type: 'flag.replace', environment: 'prod', flagId, body: {}, ifMatch };
}
