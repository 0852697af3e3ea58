import { test } from 'tap';
import { generateKey, generateKeyId, hashKey, parseKey } from '../../../src/storage/key-format.ts';

test('a key names its highest scope and carries 256 bits and a CRC', async (t) => {
  const key = generateKey('write');
  t.match(key, /^burgee_write_[0-9A-Za-z]{43}_[0-9a-f]{8}$/);
  t.same(parseKey(key), { scope: 'write' });
});

test('the largest and the smallest secret have the same length', async (t) => {
  t.equal(
    generateKey('read', (bytes) => new Uint8Array(bytes)).length,
    generateKey('read', (bytes) => new Uint8Array(bytes).fill(255)).length,
  );
});

test('the CRC is the zlib one over all before it', async (t) => {
  const key = generateKey('read', (bytes) => new Uint8Array(bytes));
  t.equal(key, `burgee_read_${'0'.repeat(43)}_bbbb446f`);
});

test('a key with one changed character is not of our format', async (t) => {
  const key = generateKey('admin');
  for (const i of [7, 20, 40, key.length - 1]) {
    const changed = key.slice(0, i) + (key[i] === 'x' ? 'y' : 'x') + key.slice(i + 1);
    t.equal(parseKey(changed), undefined);
  }
});

test('strings made elsewhere are no format of ours', async (t) => {
  for (const key of ['', 'x'.repeat(40), 'burgee_root_abc_00000000']) t.equal(parseKey(key), undefined);
});

test('the hash is lower-case hex SHA-256', async (t) => {
  t.equal(hashKey('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('key ids sort by the time they were made', async (t) => {
  const ids = [1, 1_700_000_000_000, 1_700_000_000_001, 4_000_000_000_000].map((ms) => generateKeyId(ms));
  t.same([...ids].sort(), ids);
});
