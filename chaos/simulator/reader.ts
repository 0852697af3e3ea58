// What a worker holds, by the rules of src/worker/holder.ts on the bytes that the publisher sends, without compiling: a
// hundred thousand schedules take no hours that way. A share of the schedules runs with the holder itself.
import type { ToPrimary, ToWorker } from '../../src/ipc/messages.ts';
import { type HashBytes, toggle } from '../../src/snapshot/checksum.ts';
import { type Envelope, openEnvelope } from '../../src/snapshot/encoding.ts';
import type { SnapshotHead, SnapshotItem } from '../../src/snapshot/item.ts';
import { addressOf, mismatch } from '../../src/snapshot/state.ts';
import { createHolder } from '../../src/worker/holder.ts';
import { withoutBlobs } from '../../test/support/segments.ts';

/** What is compared with the store: address -> document. */
export type Served = ReadonlyMap<string, string>;

export interface Reader {
  readonly epoch: string;
  readonly revision: number;
  receive(message: ToWorker): void;
  served(): Served;
}

export interface ReaderDeps {
  readonly hash: HashBytes;
  readonly now: () => number;
  readonly send: (message: ToPrimary) => void;
  readonly onSwap: () => void;
  /** Without it a delta is applied whatever it starts from, and whatever comes of it. */
  readonly checksGaps: boolean;
}

export function createReader({ hash, send, onSwap, checksGaps }: ReaderDeps): Reader {
  let head: SnapshotHead | undefined;
  let items: ReadonlyMap<string, SnapshotItem> = new Map();
  let awaitsWhole = false;

  function refuse(reason: string): void {
    awaitsWhole = true;
    send({ type: 'resend', revision: head?.revision ?? 0, reason });
  }

  function isCorrection({ kind, head: next }: Envelope): boolean {
    if (kind !== 'snapshot' || head === undefined || next.revision !== head.revision) return false;
    return mismatch({ keys: head.sumKeys, rest: head.sumRest }, next) !== undefined;
  }

  function take(envelope: Envelope): void {
    const isSameStore = head !== undefined && head.epoch === envelope.head.epoch;
    if (head !== undefined && isSameStore && envelope.head.revision <= head.revision && !isCorrection(envelope)) {
      awaitsWhole = false;
      send({ type: 'ack', epoch: head.epoch, revision: head.revision });
      return;
    }
    if (checksGaps && envelope.kind === 'delta' && (!isSameStore || envelope.from !== head?.revision)) {
      if (!awaitsWhole) refuse(`delta from revision ${envelope.from}`);
      return;
    }
    const next = new Map(envelope.kind === 'snapshot' ? [] : items);
    for (const put of envelope.puts) next.set(addressOf(put), put);
    for (const remove of envelope.removes) next.delete(addressOf(remove));
    const sums = { keys: 0n, rest: 0n };
    for (const { kind, tag } of next.values()) toggle(sums, kind, tag);
    const wrong = mismatch(sums, envelope.head);
    if (wrong !== undefined && (checksGaps || envelope.kind === 'snapshot')) return refuse(wrong);
    head = envelope.head;
    items = next;
    awaitsWhole = false;
    send({ type: 'ack', epoch: head.epoch, revision: head.revision });
    onSwap();
  }

  return {
    get epoch() {
      return head?.epoch ?? '';
    },
    get revision() {
      return head?.revision ?? 0;
    },
    receive(message) {
      if (message.type !== 'snapshot' && message.type !== 'delta') return;
      take(openEnvelope(message.bytes, hash));
    },
    served: () => new Map([...items].map(([address, { json }]) => [address, json])),
  };
}

/** The same by the holder itself. Keys are what it makes of them: their names and hashes. */
export function createHolderReader(deps: ReaderDeps): Reader {
  // By virtual time a compile is one slice: how fast this machine is must not change a schedule.
  const compile = { ...withoutBlobs, now: () => 0 };
  const holder = createHolder({ ...deps, warn: () => {}, faultCompileMs: 0, compile });
  holder.onSwap(deps.onSwap);
  return {
    get epoch() {
      return holder.current?.epoch ?? '';
    },
    get revision() {
      return holder.current?.revision ?? 0;
    },
    receive(message) {
      const { type } = message;
      if (type === 'snapshot' || type === 'delta' || type === 'confirmed' || type === 'loaded') holder.receive(message);
    },
    served() {
      const served = new Map<string, string>();
      const { environments, keysById } = holder.current ?? {};
      for (const environment of environments?.values() ?? []) {
        served.set(`environment//${environment.environment}`, environment.json);
        for (const flag of environment.flags.values()) served.set(`flag/prod/${flag.flagId}`, flag.json);
      }
      for (const key of keysById?.values() ?? []) served.set(`key//${key.keyId}`, key.keyHash);
      return served;
    },
  };
}
