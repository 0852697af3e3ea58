// How many connections may be open whose key has not come.
import { test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { createWithoutKey } from '../../../../src/worker/socket/without-key.ts';

function fill(count: number, address: (i: number) => string): ReturnType<typeof createWithoutKey<object>> {
  const withoutKey = createWithoutKey<object>();
  for (let i = 0; i < count; i++) withoutKey.add({ i }, address(i));
  return withoutKey;
}

test('few of one address, and those of this machine as many as of all', (t) => {
  const max = limits.socketsUnauthenticatedPerAddressMax;
  t.ok(fill(max - 1, () => '203.0.113.7').hasRoom('203.0.113.7'));
  const full = fill(max, () => '203.0.113.7');
  t.notOk(full.hasRoom('203.0.113.7'));
  t.ok(full.hasRoom('203.0.113.8'));
  const own = fill(limits.socketsUnauthenticatedMax - 1, () => '127.0.0.1');
  t.ok(own.hasRoom('127.0.0.1'));
  t.notOk(fill(max, (i) => `2001:db8::${i}`).hasRoom('2001:db8::ffff:1'), 'one /64 is one address');
  t.end();
});

test('so many in all', (t) => {
  const full = fill(limits.socketsUnauthenticatedMax, (i) => `10.0.${i >> 8}.${i & 255}`);
  t.notOk(full.hasRoom('203.0.113.7'));
  t.notOk(full.hasRoom('127.0.0.1'));
  t.end();
});

test('one whose key has come, or that is gone, makes room once', (t) => {
  const withoutKey = createWithoutKey<object>();
  const connections = Array.from({ length: limits.socketsUnauthenticatedPerAddressMax + 1 }, (_, i) => ({ i }));
  for (const connection of connections) withoutKey.add(connection, '203.0.113.7');
  withoutKey.remove(connections[0] as object);
  withoutKey.remove(connections[0] as object);
  t.notOk(withoutKey.hasRoom('203.0.113.7'));
  withoutKey.remove(connections[1] as object);
  t.ok(withoutKey.hasRoom('203.0.113.7'));
  t.end();
});
