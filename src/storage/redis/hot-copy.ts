// The hot copy: what a starting node takes instead of asking the store for everything. A large one goes and comes in
// pieces, so that a rate limit's lease never waits behind it, and only one node of many writes a revision.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { limits } from '../../limits.ts';
import { type Clock, systemClock } from '../../run/clock.ts';
import type { HashBytes } from '../../snapshot/checksum.ts';
import { FORMAT } from '../../snapshot/encoding.ts';
import type { SnapshotContent } from '../../snapshot/item.ts';
import { HOT_COPY_TTL_MS, type HotCopy, TierUnavailable } from '../tiers.ts';
import type { RedisConnection } from './connection.ts';
import { believeHotCopy, encodeHotCopy, FIRST_BYTES, middleBytes, type Signer, signerOf } from './hot-copy-value.ts';
import type { Say } from './link.ts';
import { append, note, put, putPieces, renew, standing } from './scripts.ts';

const COPY_MS = HOT_COPY_TTL_MS;
/** Longer than it takes a writer to encode and send; if it dies another one writes after this. */
const CLAIM_MS = 10_000;
/** Nothing of a copy that was not finished stays. */
const PIECES_MS = 2 * limits.hotCopyMsMax;
const PIECE_BYTES = 1_048_576;
/** On their way at once. */
const PIECES_AT_ONCE = 4;

export type ReadOutcome = 'failed' | 'found' | 'none' | 'refused';
export type WriteOutcome = 'failed' | 'kept' | 'renewed' | 'too_large' | 'written';

export interface RedisHotCopy extends HotCopy {
  /** How calls ended since the start. `refused`: not believed; `kept`: another node's writing, or a higher revision. */
  readonly reads: ReadonlyMap<ReadOutcome, number>;
  readonly writes: ReadonlyMap<WriteOutcome, number>;
}

export interface HotCopyDeps {
  readonly redis: Pick<RedisConnection, 'command' | 'run'>;
  readonly hash: HashBytes;
  /** Unlike any other node's, of [A-Za-z0-9-]: names the pieces it is writing. */
  readonly nodeId: string;
  readonly warn: Say;
  readonly clock?: Clock;
  /** Bytes; for tests of large values. */
  readonly pieceBytes?: number;
  readonly bytesMax?: number;
}

export function createHotCopy(deps: HotCopyDeps): RedisHotCopy {
  const { redis, hash, clock = systemClock } = deps;
  const { pieceBytes = PIECE_BYTES, bytesMax = limits.hotCopyBytesMax } = deps;
  const reads = new Map<ReadOutcome, number>();
  const writes = new Map<WriteOutcome, number>();
  let signer: Signer | undefined;
  let isMending = false;
  let tooLargeSaid = false;

  async function counted<Outcome, T>(
    counts: Map<Outcome | 'failed', number>,
    run: () => Promise<readonly [Outcome, T]>,
  ): Promise<T> {
    const count = (outcome: Outcome | 'failed'): void => void counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    try {
      const [outcome, value] = await run();
      count(outcome);
      return value;
    } catch (error) {
      count('failed');
      throw error;
    }
  }

  async function readBytes(key: string): Promise<Buffer | undefined> {
    const untilMs = clock.nowMs() + limits.hotCopyMsMax;
    const first = await piece(key, 0);
    if (first.length < pieceBytes) return first.length === 0 ? undefined : first;
    const bytes = Number(await redis.command('strlen', [key]));
    if (bytes > bytesMax) return Buffer.alloc(0);
    const pieces = [first];
    const starts = Array.from({ length: Math.ceil(bytes / pieceBytes) - 1 }, (_, index) => (index + 1) * pieceBytes);
    for (let at = 0; at < starts.length; at += PIECES_AT_ONCE) {
      if (clock.nowMs() > untilMs) throw new TierUnavailable('the snapshot in Redis takes too long to come');
      pieces.push(...(await Promise.all(starts.slice(at, at + PIECES_AT_ONCE).map((start) => piece(key, start)))));
    }
    return Buffer.concat(pieces);
  }

  async function piece(key: string, start: number): Promise<Buffer> {
    // The time of a whole copy: one piece is the whole of most.
    const found = await redis.command('getrange', [key, start, start + pieceBytes - 1], limits.hotCopyMsMax);
    return Buffer.isBuffer(found) ? found : Buffer.alloc(0);
  }

  async function read(epoch: string): Promise<readonly [ReadOutcome, SnapshotContent | undefined]> {
    if (signer === undefined) return ['none', undefined];
    // Twice: pieces of two copies, because one was written over the other meanwhile, are not believed either.
    for (const isLast of [false, true]) {
      const bytes = await readBytes(copyKey(epoch));
      if (bytes === undefined) return ['none', undefined];
      const content = believeHotCopy(bytes, epoch, hash, signer);
      if (content !== undefined) return ['found', content];
      if (isLast || bytes.length < pieceBytes) break;
    }
    isMending = true;
    return ['refused', undefined];
  }

  async function write(content: SnapshotContent): Promise<readonly [WriteOutcome, number]> {
    const { epoch, revision } = content.head;
    trust(content.items);
    if (signer === undefined) return ['kept', 0];
    const bytesMin = content.items.reduce((sum, { json }) => sum + json.length, 0);
    if (bytesMin > bytesMax) return tooLarge(bytesMin, 0);
    const keys = [copyKey(epoch), claimKey(epoch)];
    const about = [FIRST_BYTES, middleBytes(content.head), revision, COPY_MS, CLAIM_MS];
    const [text, isWanted] = (await redis.run(renew, keys, about)) as [Buffer, number];
    const there = Number(text);
    if (isWanted === 0 && !(isMending && there === revision)) return [there === revision ? 'renewed' : 'kept', there];
    const bytes = await encodeHotCopy(content, hash, signer, nextTurn);
    if (bytes.length > bytesMax) return tooLarge(bytes.length, there);
    const after = await send(epoch, revision, bytes);
    isMending = false;
    return [after === revision ? 'written' : 'kept', after];
  }

  async function send(epoch: string, revision: number, bytes: Buffer): Promise<number> {
    const keys = [copyKey(epoch), claimKey(epoch)];
    const about = [FIRST_BYTES, revision, COPY_MS];
    if (bytes.length <= pieceBytes) return Number(await redis.run(put, keys, [...about, bytes], limits.hotCopyMsMax));
    const own = `${copyKey(epoch)}:of:${deps.nodeId}`;
    const untilMs = clock.nowMs() + limits.hotCopyMsMax;
    await redis.command('set', [own, bytes.subarray(0, pieceBytes), 'PX', PIECES_MS]);
    for (let start = pieceBytes; start < bytes.length; start += pieceBytes) {
      if (clock.nowMs() > untilMs) throw new TierUnavailable('the snapshot takes too long to go to Redis');
      await redis.run(append, [own], [bytes.subarray(start, start + pieceBytes)]);
    }
    return Number(await redis.run(putPieces, [...keys, own], [...about, bytes.length]));
  }

  function tooLarge(bytes: number, there: number): readonly [WriteOutcome, number] {
    if (!tooLargeSaid)
      deps.warn(
        { bytes, bytesMax },
        'the snapshot is too large to be kept in Redis; nodes that start read it from the database',
      );
    tooLargeSaid = true;
    return ['too_large', there];
  }

  function trust(items: SnapshotContent['items']): void {
    signer = signerOf(items) ?? signer;
  }

  function believeHighest(epoch: string, text: unknown): number {
    const found = /^(\d{1,16}):([0-9a-f]{64})$/.exec(String(text));
    if (found === null || signer === undefined) return 0;
    const isOurs = signer.verify(highestText(epoch, Number(found[1])), Buffer.from(found[2] as string, 'hex'));
    return isOurs ? Number(found[1]) : 0;
  }

  return {
    reads,
    writes,
    trust,
    async standing(epoch) {
      const found = (await redis.run(standing, [copyKey(epoch)], [FIRST_BYTES])) as [Buffer, number] | null;
      if (found === null) return undefined;
      const revision = Number(found[0]);
      const ttlMs = found[1];
      // Without an end, or with one that no node gave it: it is to be written again, which sets that right.
      return { revision, ttlMs: ttlMs < 0 || ttlMs > COPY_MS ? 0 : ttlMs };
    },
    read: (epoch) => counted(reads, () => read(epoch)),
    write: (content) => counted(writes, () => write(content)),
    async highestSeen(epoch) {
      const text = await redis.command('get', [highestKey(epoch)]);
      return text === null ? 0 : believeHighest(epoch, text);
    },
    async noteSeen(epoch, revision) {
      if (signer === undefined) return;
      const text = `${revision}:${signer.sign(highestText(epoch, revision)).toString('hex')}`;
      const keys = [highestKey(epoch)];
      const there = await redis.run(note, keys, [revision, text, '']);
      // What no node signed stands in the way of nothing.
      if (there !== null && believeHighest(epoch, there) === 0)
        await redis.run(note, keys, [revision, text, there as Buffer]);
    },
  };
}

function copyKey(epoch: string): string {
  return `burgee:{${epoch}}:snapshot:f${FORMAT}`;
}

function claimKey(epoch: string): string {
  return `${copyKey(epoch)}:claim`;
}

function highestKey(epoch: string): string {
  return `burgee:{${epoch}}:highest`;
}

function highestText(epoch: string, revision: number): string {
  return `highest\n${epoch}\n${revision}`;
}
