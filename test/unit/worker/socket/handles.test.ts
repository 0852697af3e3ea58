// Prepared handles and binary frames, one case at a time, with connections in memory.
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import {
  type BinaryRequest,
  type BinaryUser,
  decodeReply,
  encodeRequest,
  type Prepared,
} from '../../../support/binary-client.ts';
import {
  ask,
  color,
  half,
  key,
  lastError,
  lastRows,
  off,
  on,
  poland,
  prepare,
  serve,
} from '../../../support/handle-steps.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

test('prepare tells the variants in the order of the list, and frames are answered by it, byte by byte', (t) => {
  const { bench, client } = serve([on, off, color(['red', 'blue', 'green'])]);
  prepare(bench, client, ['on', 'missing', 'color', 'off']);
  t.same(client.received, [
    {
      type: 'prepared',
      id: 5,
      handle: 1,
      revision: 10,
      flags: [
        { flag_id: 'on', variants: ['off', 'on'] },
        { flag_id: 'missing', variants: [] },
        { flag_id: 'color', variants: ['red', 'blue', 'green'] },
        { flag_id: 'off', variants: ['off', 'on'] },
      ],
    },
  ]);
  t.ok(ask(bench, client, ['a', 'ż'], { id: 0x01020304 }));
  t.equal(
    Buffer.from(client.received[1] as Uint8Array).toString('hex'),
    ['81', '00', '0100', '04030201', '02000000', '04000000', '0a00000000000000', '01ff0200', '01ff0200'].join(''),
  );
  t.ok(ask(bench, client, ['a', 'b', 'c'], { options: 1 }));
  t.equal(
    Buffer.from(client.received[2] as Uint8Array).toString('hex'),
    ['81', '01', '0100', '4d000000', '03000000', '04000000', '0a00000000000000', '01', '01', '01'].join(''),
  );
  t.equal(client.inFlight, 0);
  t.same(bench.unknown, [
    ['prod', 'missing', 2],
    ['prod', 'missing', 3],
  ]);
  t.end();
});

test('a revision beyond 32 bits is told whole', (t) => {
  const { bench, client } = serve([on], [key], 2 ** 40 + 3);
  prepare(bench, client);
  ask(bench, client, ['a']);
  t.equal(decodeReply(client.received[1] as Uint8Array).revision, 2 ** 40 + 3);
  t.end();
});

test('no users and no flags are answered by a head alone', (t) => {
  const { bench, client } = serve([on]);
  prepare(bench, client);
  prepare(bench, client, [], { id: 6 });
  ask(bench, client, []);
  t.same(lastRows(t, client), []);
  ask(bench, client, [], { options: 1 });
  t.same(lastRows(t, client), []);
  ask(bench, client, ['a', 'b'], { handle: 2 });
  t.same(lastRows(t, client), [[], []]);
  ask(bench, client, ['a', ''], { handle: 2 });
  t.match(lastError(client), { code: 'INVALID_REQUEST', message: /^users\[1\] is empty/ });
  t.end();
});

test('without flags all that the key may see are prepared, and stay what they were', (t) => {
  const tagged = makeKey({ raw: 'tagged-key-of-32-characters-0000', scope: 'evaluate', tags: ['web'] });
  const web = makeFlag({ flag_id: 'web', enabled: true, rollout_percentage: 100, tags: ['web'] });
  const { bench, client } = serve([on, web, off], [tagged, key]);
  prepare(bench, client);
  t.match(client.received[0], { flags: [{ flag_id: 'web' }] });
  const other = bench.connect(key);
  prepare(bench, other);
  t.same(
    (other.received[0] as Prepared).flags.map((flag) => flag.flag_id),
    ['off', 'on', 'web'],
  );
  bench.swap(makeSnapshot(11, [on, web, off, half], [tagged, key]));
  ask(bench, other, ['a']);
  t.same(lastRows(t, other), [[0, 1, 1]]);
  t.end();
});

test('attributes come with each user by op 2', (t) => {
  const { bench, client } = serve([poland, on]);
  prepare(bench, client, ['poland', 'on']);
  const users = [
    { userId: 'a', attributes: '{"country":"PL"}' },
    { userId: 'b', attributes: '{"country":"CZ"}' },
    { userId: 'c', attributes: '{}' },
  ];
  ask(bench, client, users, { op: 2 });
  t.same(lastRows(t, client), [
    [1, 1],
    [0, 1],
    [0, 1],
  ]);
  ask(bench, client, users, { op: 2, options: 1 });
  t.same(lastRows(t, client), [
    [1, 1],
    [0, 1],
    [0, 1],
  ]);
  ask(bench, client, [{ userId: 'a', attributes: '[1]' }], { op: 2 });
  t.match(lastError(client), { id: 77, code: 'INVALID_REQUEST', message: /users\[0\]\.attributes/ });
  ask(bench, client, [{ userId: 'a', attributes: '{"a":' }], { op: 2 });
  t.match(lastError(client), { id: 77, code: 'INVALID_REQUEST', message: /users\[0\]\.attributes/ });
  t.equal(client.inFlight, 0);
  t.end();
});

test('what cannot be read as a frame is malformed, with its id where there is one', (t) => {
  const { bench, client } = serve([on]);
  prepare(bench, client);
  const good = encodeRequest({ op: 1, options: 0, handle: 1, id: 9, users: [{ userId: 'ab' }, { userId: 'c' }] });
  const withByte = (at: number, byte: number): Buffer => {
    const changed = Buffer.from(good);
    changed[at] = byte;
    return changed;
  };
  const cases: readonly (readonly [string, Uint8Array, number | null, RegExp])[] = [
    ['nothing', Buffer.alloc(0), null, /begins with 12 bytes, not 0/],
    ['no id', good.subarray(0, 7), null, /not 7/],
    ['no count', good.subarray(0, 11), 9, /not 11/],
    ['an op', withByte(0, 3), 9, /no op 3/],
    ['op 0', withByte(0, 0), 9, /no op 0/],
    ['an option', withByte(1, 2), 9, /bit 0/],
    ['every option', withByte(1, 255), 9, /bit 0/],
    ['a byte less', good.subarray(0, -1), 9, /ends before users\[1\]/],
    ['a user less', good.subarray(0, 16), 9, /ends before users\[1\]/],
    ['a byte more', Buffer.concat([good, Buffer.from('x')]), 9, /1 bytes follow the last of 2 users/],
    ['four billion users', withByte(11, 255), 9, /ends before/],
    ['users that it says it has not', withByte(8, 0), 9, /7 bytes follow the last of 0 users/],
    ['op 2 without attributes', withByte(0, 2), 9, /ends before|bytes follow/],
    ['a long user', withByte(13, 255), 9, /ends before/],
  ];
  for (const [name, bytes, id, message] of cases) {
    t.notOk(bench.handles.frame(client, bytes), `${name} counts`);
    t.match(lastError(client), { type: 'error', id, code: 'INVALID_REQUEST', message }, name);
  }
  const attributes = encodeRequest({ op: 2, options: 0, handle: 1, id: 9, users: [{ userId: 'a' }] });
  attributes.writeUInt32LE(0xffff_ffff, 15);
  t.notOk(bench.handles.frame(client, attributes), 'attributes without end');
  t.equal(client.inFlight, 0);
  t.end();
});

test('what can be read and is wrong is told with its id, and does not count as malformed', (t) => {
  const { bench, client } = serve([on]);
  prepare(bench, client);
  const cases: readonly (readonly [readonly (string | BinaryUser)[], Partial<BinaryRequest>, RegExp])[] = [
    [['a'], { handle: 2 }, /handle 2 is not prepared/],
    [['a'], { handle: 0 }, /handle 0 is not prepared/],
    [['a'], { handle: 65_535 }, /handle 65535 is not prepared/],
    [['a', ''], {}, /users\[1\] is empty/],
    [[{ userId: Buffer.from([0x61, 0xff]) }], {}, /users\[0\] is not UTF-8/],
    [[{ userId: Buffer.from([0xed, 0xa0, 0x80]) }], {}, /users\[0\] is not UTF-8/],
    [Array.from({ length: limits.binaryUsersMax + 1 }, () => 'u'), {}, /10001 users are over 10000/],
  ];
  for (const [users, request, message] of cases) {
    t.ok(ask(bench, client, users, request), String(message));
    t.match(lastError(client), { type: 'error', id: 77, code: 'INVALID_REQUEST', message });
  }
  prepare(bench, client, Array(101).fill('on'), { id: 6 });
  t.ok(ask(bench, client, Array(limits.binaryUsersMax).fill('u'), { handle: 2 }));
  t.match(lastError(client), { code: 'INVALID_REQUEST', message: /10000 users of 101 flags are over 1000000/ });
  t.equal(client.inFlight, 0);
  t.end();
});

test('the longest user and the largest count are served', (t) => {
  const { bench, client } = serve([on, half]);
  prepare(bench, client, ['on']);
  t.ok(ask(bench, client, ['u'.repeat(65_535)]));
  t.same(lastRows(t, client), [[1]]);
  t.ok(ask(bench, client, Array(limits.binaryUsersMax).fill('u')));
  t.equal(lastRows(t, client).length, limits.binaryUsersMax);
  t.end();
});

test('handles take the smallest free number, and what is released makes room', (t) => {
  const { bench, client } = serve([on]);
  for (let i = 0; i < limits.socketHandlesMax; i++) prepare(bench, client, ['on'], { id: i });
  t.equal((client.received.at(-1) as Prepared).handle, limits.socketHandlesMax);
  prepare(bench, client, ['on'], { id: 900 });
  t.match(lastError(client), { id: 900, code: 'TOO_MANY_HANDLES', message: /at most 64 handles/ });
  const release = (handle: number): void => bench.handles.release(client, { type: 'release', handle });
  for (const handle of [7, 3, 3, 0, 65_535]) release(handle);
  ask(bench, client, ['a'], { handle: 3 });
  t.match(lastError(client), { message: /handle 3 is not prepared/ });
  prepare(bench, client, ['on'], { id: 901 });
  prepare(bench, client, ['on'], { id: 901 });
  t.match(client.received.slice(-2), [{ handle: 3 }, { handle: 7 }]);
  t.end();
});

test('the flags of all handles of a socket have a bound, and so have lists of the worker', (t) => {
  const { bench, client } = serve([on]);
  const list = Array(limits.batchFlagsMax).fill('on');
  const fit = limits.socketHandleFlagsMax / list.length;
  for (let i = 0; i <= fit; i++) prepare(bench, client, list, { id: i });
  t.match(lastError(client), { id: fit, code: 'TOO_MANY_HANDLES', message: /at most 100000 flags together/ });
  bench.handles.release(client, { type: 'release', handle: 1 });
  prepare(bench, client, list, { id: 90 });
  t.match(client.received.at(-1), { type: 'prepared', id: 90, handle: 1 });
  // Lists that nobody else has: each of a megabyte of names.
  const others = Array.from({ length: 140 }, () => bench.connect(key));
  for (const [i, other] of others.entries()) prepare(bench, other, ['x'.repeat(1_000_000) + i]);
  t.match(others[0]?.received[0], { type: 'prepared' });
  t.match(others.at(-1)?.received[0], { type: 'error', code: 'TOO_MANY_HANDLES' });
  for (const other of others) bench.handles.closed(other);
  const late = bench.connect(key);
  prepare(bench, late, ['y'.repeat(1_000_000)]);
  t.match(late.received[0], { type: 'prepared' }, 'closed sockets give theirs back');
  t.end();
});

test('a prepared message has a bound on what it tells', async (t) => {
  const names = Array.from({ length: 250 }, (_, i) => `${'v'.repeat(50)}${i}`);
  const { bench, client } = serve([color(names)]);
  prepare(bench, client, Array(1000).fill('color'));
  t.match(lastError(client), { id: 5, code: 'INVALID_REQUEST', message: /prepare fewer flags/ });
  bench.swap(makeSnapshot(11, [color(['a', 'b'])], [key]));
  prepare(bench, client, Array(1000).fill('color'), { id: 6 });
  t.match(client.received.at(-1), { type: 'prepared', id: 6 });
  // It outgrows the bound while it is prepared: no reply is given that nobody could read.
  bench.swap(makeSnapshot(12, [color(names)], [key]));
  await bench.settle();
  ask(bench, client, ['a']);
  t.match(lastError(client), { id: 77, code: 'INVALID_REQUEST', message: /prepare fewer flags/ });
  bench.swap(makeSnapshot(13, [color(['a', 'b'])], [key]));
  ask(bench, client, ['a']);
  t.equal(decodeReply(client.received.at(-1) as Uint8Array).revision, 13);
  t.equal(client.received.filter((message) => 'type' in message && message.type === 'prepared').length, 1);
  t.end();
});

test('an environment is asked for as by HTTP', (t) => {
  const bound = makeKey({
    raw: 'bound-key-of-32-characters-00000',
    scope: 'evaluate',
    environments: ['dev', 'staging'],
  });
  const { bench, client } = serve([on], [bound]);
  prepare(bench, client);
  t.match(lastError(client), { id: 5, code: 'ENVIRONMENT_REQUIRED' });
  prepare(bench, client, undefined, { environment: 'prod' });
  t.match(lastError(client), { id: 5, code: 'ENVIRONMENT_FORBIDDEN' });
  prepare(bench, client, undefined, { environment: 'nowhere' });
  t.match(lastError(client), { id: 5, code: 'ENVIRONMENT_FORBIDDEN' });
  prepare(bench, client, undefined, { environment: 'dev' });
  t.match(client.received.at(-1), { type: 'prepared', flags: [] });
  const free = serve([on]);
  prepare(free.bench, free.client, undefined, { environment: 'nowhere' });
  t.match(lastError(free.client), { id: 5, code: 'ENVIRONMENT_NOT_FOUND' });
  t.end();
});

test('min_revision waits for its revision, and not for one that is far ahead', async (t) => {
  const { bench, client } = serve([on]);
  prepare(bench, client, ['late'], { minRevision: 11 });
  t.same(client.received, []);
  t.equal(client.inFlight, 1);
  bench.swap(makeSnapshot(11, [on, makeFlag({ flag_id: 'late' })], [key]));
  await bench.settle();
  t.match(client.received, [{ type: 'prepared', revision: 11, flags: [{ flag_id: 'late', variants: ['off', 'on'] }] }]);
  t.equal(client.inFlight, 0);
  prepare(bench, client, ['late'], { minRevision: 20_000 });
  t.match(lastError(client), { code: 'INVALID_REQUEST', message: /ahead/ });
  const gone = bench.connect(key);
  prepare(bench, gone, ['late'], { minRevision: 12 });
  gone.close(1001, 'left');
  bench.swap(makeSnapshot(12, [on], [key]));
  await bench.settle();
  t.same(gone.received, []);
  t.end();
});

test('frames that wait are in flight until they are answered, so that the connection bounds what they keep', async (t) => {
  const { bench, client } = serve([on]);
  prepare(bench, client);
  bench.busy();
  for (let i = 0; i < 3; i++) ask(bench, client, ['a', 'b']);
  t.equal(client.inFlight, 3);
  await bench.settle();
  t.equal(client.inFlight, 0);
});
