import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import {
  createFrameReader,
  decodeToPrimary,
  decodeToWorker,
  encodeToPrimary,
  encodeToWorker,
} from '../../../src/ipc/frame.ts';
import type { ToPrimary, ToWorker } from '../../../src/ipc/messages.ts';

test('messages come out whole and in order however the socket cuts them', async () => {
  const sent: ToPrimary[] = [
    { type: 'ack', epoch: 'e', revision: 812 },
    { type: 'want', revision: Number.MAX_SAFE_INTEGER },
    { type: 'listening' },
    { type: 'resend', revision: 3, reason: 'zażółć 🚩' },
  ];
  const bytes = Buffer.concat(sent.map(encodeToPrimary));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: bytes.length }), { maxLength: 40 }), (cuts) => {
      const received: (ToPrimary | undefined)[] = [];
      const reader = createFrameReader(1000, (type, body) => received.push(decodeToPrimary(type, body)));
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        reader.push(Buffer.from(bytes.subarray(at, at + cut)));
        at = Math.min(bytes.length, at + cut);
      }
      assert.deepEqual(received, sent);
    }),
    { numRuns: 200 },
  );
});

test('a snapshot travels as the bytes it is', async (t) => {
  const bytes = Buffer.from([0, 255, 1, 2, 3]);
  const received: (ToWorker | undefined)[] = [];
  const reader = createFrameReader(1000, (type, body) => received.push(decodeToWorker(type, body)));
  reader.push(Buffer.from(encodeToWorker({ type: 'delta', bytes })));
  t.equal(received.length, 1);
  const message = received[0] as Extract<ToWorker, { type: 'delta' }>;
  t.equal(message.type, 'delta');
  t.same([...message.bytes], [...bytes]);
});

test('a frame over the bound is refused before it is buffered', async (t) => {
  const reader = createFrameReader(16, () => t.fail('no frame'));
  const header = Buffer.alloc(4);
  header.writeUInt32LE(17);
  t.throws(() => reader.push(header), /frame of 17 bytes; at most 16/);
});

test('an empty frame is an error, and a type of a newer build says nothing', async (t) => {
  const reader = createFrameReader(16, (type, body) => decodeToPrimary(type, body));
  t.throws(() => reader.push(Buffer.from([0, 0, 0, 0])), /frame of 0 bytes/);
  t.equal(decodeToPrimary(200, Buffer.from('{}')), undefined);
  t.equal(decodeToWorker(200, Buffer.from('not even JSON')), undefined);
  t.throws(() => decodeToPrimary(1, Buffer.from('no JSON')));
});
