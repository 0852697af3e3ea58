// The loop that tells streams of changes, with fake replies and a clock that the test turns.
import { mock } from 'node:test';
import { type Test, test } from 'tap';
import { limits } from '../../../src/limits.ts';
import { createEventStreams } from '../../../src/worker/event-streams.ts';
import type { ServingSnapshot } from '../../../src/worker/serving.ts';
import type { ReplyStream } from '../../../src/worker/transport/transport.ts';
import { makeKey, makeSnapshot } from '../../support/serving.ts';

const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });
const grant = { keyId: key.keyId, environment: 'prod' };

class FakeReply implements ReplyStream {
  readonly written: string[] = [];
  ended = '';
  /** What write answers: false is a client that does not take its bytes. */
  takes = true;
  private tellWritable: () => void = () => {};
  private tellClosed: () => void = () => {};
  write(chunk: string | Uint8Array): boolean {
    this.written.push(String(chunk));
    return this.takes;
  }
  onWritable(tell: () => void): void {
    this.tellWritable = tell;
  }
  onClosed(tell: () => void): void {
    this.tellClosed = tell;
  }
  onDrain(): void {}
  unsentBytes(): number {
    return 0;
  }
  end(): void {
    this.ended ||= 'end';
  }
  close(): void {
    this.ended ||= 'close';
    this.tellClosed();
  }
  takeAll(): void {
    this.takes = true;
    this.tellWritable();
  }
  /** The revisions told. */
  told(): string[] {
    return this.written.flatMap((text) => /id: e1-(\d+)/.exec(text)?.[1] ?? []);
  }
}

function streaming(t: Test) {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  t.teardown(() => mock.timers.reset());
  const state: { current: ServingSnapshot; nowMs: number } = { current: makeSnapshot(1, [], [key]), nowMs: 1_000_000 };
  let swapped: () => void = () => {};
  const holder = {
    get current() {
      return state.current;
    },
    onSwap: (tell: () => void) => {
      swapped = tell;
    },
  };
  const streams = createEventStreams({ holder, now: () => state.nowMs, random: () => 0.5 });
  t.teardown(() => streams.close());
  const add = (known?: string): FakeReply => {
    const reply = new FakeReply();
    streams.add(grant, reply, known);
    return reply;
  };
  const swap = (snapshot: ServingSnapshot): void => {
    state.current = snapshot;
    swapped();
  };
  return { streams, state, add, swap };
}

test('a swap only marks; 50 ms later each client is told once, of the latest', (t) => {
  const { add, swap } = streaming(t);
  const replies = [add(), add()];
  t.same(replies[0]?.written, ['retry: 3000\n\n']);
  for (const revision of [2, 3, 4]) swap(makeSnapshot(revision, [], [key]));
  t.same(
    replies.flatMap((reply) => reply.told()),
    [],
  );
  mock.timers.tick(50);
  t.same(
    replies.flatMap((reply) => reply.told()),
    ['4', '4'],
  );
  t.end();
});

test('a client that does not take its bytes gets the latest state when it does, and none between', (t) => {
  const { add, swap } = streaming(t);
  const reply = add();
  reply.takes = false;
  swap(makeSnapshot(2, [], [key]));
  mock.timers.tick(50);
  swap(makeSnapshot(3, [], [key]));
  mock.timers.tick(50);
  t.same(reply.told(), ['2']);
  reply.takeAll();
  t.same(reply.told(), ['2', '3']);
  t.end();
});

test('a quiet stream beats, and one that did not take the last bytes is cut', (t) => {
  const { add } = streaming(t);
  const lively = add();
  const stuck = add();
  stuck.takes = false;
  mock.timers.tick(15_000);
  t.same([lively.written.at(-1), stuck.written.at(-1)], [': still here\n\n', ': still here\n\n']);
  mock.timers.tick(15_000);
  t.same([lively.ended, stuck.ended], ['', 'close']);
  t.end();
});

test('a stream ends with its key: at the swap that revokes it, and at the beat after it expired', (t) => {
  const { state, add, swap } = streaming(t);
  const expiring = add();
  swap(makeSnapshot(2, [], [{ ...key, expiresAtMs: state.nowMs + 1000 }]));
  mock.timers.tick(50);
  t.equal(expiring.ended, '');
  state.nowMs += 1000;
  mock.timers.tick(15_000);
  t.equal(expiring.ended, 'end');
  swap(makeSnapshot(3, [], [key]));
  const revoked = add();
  swap(makeSnapshot(4, [], []));
  mock.timers.tick(50);
  t.equal(revoked.ended, 'end');
  t.end();
});

test('streams of one key are bounded, and those that end make room', (t) => {
  const { streams, add } = streaming(t);
  const replies = Array.from({ length: limits.streamsPerKeyMax }, () => add());
  t.notOk(streams.hasRoom(key.keyId));
  t.ok(streams.hasRoom('another'), 'for others there is room');
  replies[0]?.close();
  t.ok(streams.hasRoom(key.keyId));
  t.end();
});

test('after close nothing is told and nothing is taken', (t) => {
  const { streams, add, swap } = streaming(t);
  const reply = add();
  streams.close();
  streams.close();
  swap(makeSnapshot(2, [], [key]));
  mock.timers.tick(20_000);
  t.same(reply.told(), []);
  t.equal(add().ended, 'end');
  t.end();
});
