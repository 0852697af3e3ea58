// Redis in memory: what the scripts of src/storage/redis/scripts.ts do in one step each, expiry, pub/sub, and what
// befalls a Redis: emptied, hung, an older copy of itself after a failover.

import type { RedisArgument, RedisScript } from '../../src/storage/redis/connection.ts';
import { append, note, put, putPieces, renew, standing } from '../../src/storage/redis/scripts.ts';
import { SECRETS } from './model-store.ts';

interface Value {
  readonly bytes: Buffer;
  readonly untilMs: number;
}

export interface ModelRedis {
  command(name: string, args: readonly RedisArgument[]): unknown;
  run(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): unknown;
  empty(): void;
  /** Keeps what there is, to come back to. */
  keep(): void;
  comeBack(): void;
}

export type Put = (there: number, mine: number) => boolean;

/** The rule of the scripts: a copy is written over a lower revision, or over an equal one with other sums. */
export const overLower: Put = (there, mine) => there <= mine;

export function createModelRedis(deps: {
  readonly nowMs: () => number;
  readonly mayPut: Put;
  readonly violated: (rule: string, detail: string) => void;
}): ModelRedis {
  let values = new Map<string, Value>();
  let kept = new Map<string, Value>();
  /** Highest revision of each copy since Redis last lost anything. */
  const highest = new Map<string, number>();

  function get(key: string): Buffer | undefined {
    const value = values.get(key);
    if (value === undefined) return undefined;
    if (value.untilMs > deps.nowMs()) return value.bytes;
    values.delete(key);
    highest.delete(key);
    return undefined;
  }

  function set(key: string, bytes: Buffer, ms = Number.POSITIVE_INFINITY): void {
    if (SECRETS.some((secret) => bytes.includes(secret))) deps.violated('keys-in-redis', key);
    values.set(key, { bytes, untilMs: deps.nowMs() + ms });
  }

  function ttl(key: string): number {
    return (values.get(key)?.untilMs ?? 0) - deps.nowMs();
  }

  function revisionOf(key: string): number {
    const bytes = get(key);
    return bytes === undefined ? 0 : Number(bytes.readBigUInt64LE(24));
  }

  function runRenew([copy, claim]: readonly string[], args: readonly RedisArgument[]): unknown {
    const mine = Number(args[2]);
    const there = revisionOf(copy as string);
    if (there > 0 && !deps.mayPut(there, mine)) return [there, 0];
    const bytes = get(copy as string);
    if (there === mine && bytes?.subarray(24, 48).equals(args[1] as Buffer)) {
      set(copy as string, bytes, Number(args[3]));
      return [there, 0];
    }
    if (get(claim as string) !== undefined) return [there, 0];
    set(claim as string, Buffer.from(String(mine)), Number(args[4]));
    return [there, 1];
  }

  function runPut([copy, claim]: readonly string[], args: readonly RedisArgument[]): unknown {
    values.delete(claim as string);
    const there = revisionOf(copy as string);
    const mine = Number(args[1]);
    if (!deps.mayPut(there, mine)) return there;
    const before = highest.get(copy as string) ?? 0;
    if (mine < before) deps.violated('hot-copy-went-back', `from ${before} to ${mine}`);
    highest.set(copy as string, Math.max(before, mine));
    set(copy as string, args[3] as Buffer, Number(args[2]));
    return mine;
  }

  function runNote([key]: readonly string[], [revision, text, over]: readonly RedisArgument[]): unknown {
    const there = get(key as string);
    if (there !== undefined && there.toString() !== String(over)) {
      if (Number.parseInt(there.toString(), 10) >= Number(revision)) return there;
    }
    set(key as string, Buffer.from(String(text)));
    return null;
  }

  return {
    command(name, [key, start, end]) {
      const bytes = get(String(key));
      if (name === 'get') return bytes ?? null;
      if (name === 'getrange') return bytes?.subarray(Number(start), Number(end) + 1) ?? Buffer.alloc(0);
      throw new Error(`the model knows no ${name}`);
    },
    run(script, keys, args) {
      const copy = keys[0] as string;
      switch (script) {
        case standing:
          return get(copy) === undefined ? null : [revisionOf(copy), ttl(copy)];
        case renew:
          return runRenew(keys, args);
        case put:
          return runPut(keys, args);
        case note:
          return runNote(keys, args);
        default:
          throw new Error(script === append || script === putPieces ? 'a copy is in pieces' : 'unknown script');
      }
    },
    empty() {
      values = new Map();
      highest.clear();
    },
    keep() {
      kept = new Map(values);
    },
    comeBack() {
      values = new Map(kept);
      highest.clear();
    },
  };
}
