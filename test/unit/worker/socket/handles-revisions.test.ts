// How handles follow new revisions: what is told, when, and to whom.
import { test } from 'tap';
import type { ServingKey } from '../../../../src/worker/serving.ts';
import { decodeReply, encodeRequest } from '../../../support/binary-client.ts';
import { ask, color, half, key, lastError, lastRows, off, on, prepare, serve } from '../../../support/handle-steps.ts';
import { makeFlag, makeSnapshot } from '../../../support/serving.ts';

test('a new prepared goes before the reply that is read with it, and one alone without a request', async (t) => {
  const { bench, client } = serve([color(['red', 'blue']), on]);
  prepare(bench, client, ['color', 'on']);
  bench.swap(makeSnapshot(11, [color(['blue', 'red']), on], [key]));
  ask(bench, client, ['a']);
  t.match(client.received[1], {
    type: 'prepared',
    id: 5,
    handle: 1,
    revision: 11,
    flags: [{ flag_id: 'color', variants: ['blue', 'red'] }, { flag_id: 'on' }],
  });
  t.equal(decodeReply(client.received[2] as Uint8Array).revision, 11);
  await bench.settle();
  t.equal(client.received.length, 3, 'the sweep finds nothing new');
  bench.swap(makeSnapshot(12, [color(['blue', 'red', 'green']), on], [key]));
  await bench.settle();
  t.match(client.received[3], { type: 'prepared', revision: 12 });
  bench.swap(makeSnapshot(13, [on], [key]));
  await bench.settle();
  t.match(client.received[4], { revision: 13, flags: [{ variants: [] }, { variants: ['off', 'on'] }] });
  t.end();
});

test('a change that leaves the variants as they are is not told', async (t) => {
  const { bench, client } = serve([color(['red', 'blue']), on]);
  prepare(bench, client);
  const other = color(['red', 'blue'], { rollout: [{ variant: 'red', percentage: 100 }], description: 'new' });
  bench.swap(makeSnapshot(11, [other, on, half], [key]));
  await bench.settle();
  t.equal(client.received.length, 1);
  ask(bench, client, ['a']);
  t.same(lastRows(t, client), [[0, 1]]);
  t.end();
});

test('a slow reader is told of the latest once it reads, and of nothing between', async (t) => {
  const { bench, client } = serve([color(['a', 'b'])]);
  prepare(bench, client);
  client.unsent = 1;
  for (const [i, names] of [
    ['b', 'a'],
    ['c', 'a'],
    ['d', 'a'],
  ].entries()) {
    bench.swap(makeSnapshot(11 + i, [color(names)], [key]));
    await bench.settle();
  }
  t.equal(client.received.length, 1);
  client.unsent = 0;
  bench.handles.drained(client);
  t.match(client.received.slice(1), [{ revision: 13, flags: [{ variants: ['d', 'a'] }] }]);
  bench.handles.drained(client);
  t.equal(client.received.length, 2);
  t.end();
});

test('a reply that was begun before a change keeps its older revision', async (t) => {
  const { bench, client } = serve([color(['red', 'blue'], { off_variant: 'red' })]);
  prepare(bench, client);
  bench.busy();
  const bytes = encodeRequest({ op: 1, options: 0, handle: 1, id: 1, users: [{ userId: 'a' }] });
  bench.handles.frame(client, bytes);
  bytes.fill(0);
  t.equal(client.received.length, 1, 'it waits for its turn');
  bench.swap(makeSnapshot(11, [color(['blue', 'red'], { off_variant: 'red' })], [key]));
  ask(bench, client, ['a'], { id: 2 });
  await bench.settle();
  const replies = client.received.slice(2).map((message) => decodeReply(message as Uint8Array));
  t.match(client.received[1], { type: 'prepared', revision: 11 });
  t.same(
    replies.map((reply) => [reply.id, reply.revision, reply.cell(0, 0)]),
    [
      [1, 10, 0],
      [2, 11, 1],
    ],
  );
  t.equal(client.inFlight, 0);
  t.end();
});

test('a number is not given again while what was asked under it is unanswered', async (t) => {
  const { bench, client } = serve([on, off]);
  prepare(bench, client, ['on'], { id: 1 });
  bench.busy();
  ask(bench, client, ['a']);
  bench.handles.release(client, { type: 'release', handle: 1 });
  prepare(bench, client, ['off'], { id: 2 });
  t.match(client.received.at(-1), { id: 2, handle: 2 });
  await bench.settle();
  t.same(lastRows(t, client), [[1]]);
  prepare(bench, client, ['off'], { id: 3 });
  t.match(client.received.at(-1), { id: 3, handle: 1 });
  t.end();
});

test('a correction without a new revision leaves no reply that would be misread', async (t) => {
  const { bench, client } = serve([color(['a', 'b'])]);
  prepare(bench, client);
  bench.busy();
  ask(bench, client, ['u'], { id: 1 });
  bench.swap(makeSnapshot(10, [color(['b', 'a'])], [key]));
  ask(bench, client, ['u'], { id: 2 });
  await bench.settle();
  t.match(client.received[1], { type: 'prepared', revision: 10, flags: [{ variants: ['b', 'a'] }] });
  t.match(client.received[2], { type: 'error', id: 1, code: 'NOT_READY' });
  t.equal(decodeReply(client.received[3] as Uint8Array).id, 2);
  t.end();
});

test('when the store goes back the socket is closed: its replies could not be told apart', async (t) => {
  const { bench, client } = serve([on]);
  prepare(bench, client);
  bench.swap(makeSnapshot(3, [on], [key]));
  await bench.settle();
  t.match(client.closing, [1001, /earlier revision/]);
  t.end();
});

test('what the key may see no more has no variants, and a key that may not at all is told so', async (t) => {
  const flags = [makeFlag({ flag_id: 'web', enabled: true, rollout_percentage: 100, tags: ['web'] })];
  const { bench, client } = serve(flags);
  prepare(bench, client);
  const tagged: ServingKey = { ...key, tags: new Set(['app']) };
  bench.swap(makeSnapshot(11, flags, [tagged]));
  ask(bench, client, ['a']);
  t.match(client.received[1], { type: 'prepared', revision: 11, flags: [{ flag_id: 'web', variants: [] }] });
  t.same(lastRows(t, client), [[255]]);
  t.same(bench.unknown, [], 'it exists');
  bench.swap(makeSnapshot(12, flags, [{ ...key, environments: new Set(['dev']) }]));
  ask(bench, client, ['a']);
  t.match(lastError(client), { id: 77, code: 'ENVIRONMENT_FORBIDDEN' });
  bench.swap(makeSnapshot(13, flags, [key]));
  await bench.settle();
  t.match(client.received.at(-1), { type: 'prepared', revision: 13, flags: [{ variants: ['off', 'on'] }] });
  bench.swap(makeSnapshot(14, flags, []));
  ask(bench, client, ['a']);
  t.match(lastError(client), { id: 77, code: 'UNAUTHORIZED' });
  t.end();
});

test('clients that prepare the same flags share one plan', async (t) => {
  const { bench } = serve([on, half]);
  const clients = Array.from({ length: 50 }, () => bench.connect(key));
  let finds = 0;
  const { find } = bench.plans;
  const counting = bench.plans as { find: typeof find };
  counting.find = (...asked) => {
    finds += 1;
    return find(...asked);
  };
  for (const client of clients) prepare(bench, client, ['on', 'half']);
  finds = 0;
  bench.swap(makeSnapshot(11, [on, half, off], [key]));
  await bench.settle();
  t.equal(finds, 1, 'the list is looked up once for all');
  t.end();
});
