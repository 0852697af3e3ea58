// A key that took the hash of one revoked in the same delta was put first and then removed with the old one, and stayed
// unknown until its worker ended.
import { test } from 'tap';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { encodeDelta, encodeSnapshot } from '../../src/snapshot/encoding.ts';
import { createHolder } from '../../src/worker/holder.ts';
import { withoutBlobs } from '../support/segments.ts';
import { contentOf, deltaBetween, environmentItem, keyItem } from '../support/snapshot.ts';

test('a key with the hash of one that is revoked in the same delta is served', async (t) => {
  const hash = await createHashBytes();
  const holder = createHolder({
    hash,
    now: () => 0,
    warn: () => {},
    faultCompileMs: 0,
    compile: withoutBlobs,
    send: () => {},
  });
  const prod = environmentItem('prod', 1, 1n);
  const before = contentOf(5, [prod, keyItem('old', 5, 2n, 'shared'), keyItem('kept', 5, 3n, 'own')]);
  const after = contentOf(7, [prod, keyItem('new', 7, 4n, 'shared'), keyItem('kept', 5, 3n, 'own')]);
  holder.receive({ type: 'snapshot', bytes: encodeSnapshot(before, hash) });
  holder.receive({ type: 'delta', bytes: encodeDelta(deltaBetween(before, after), hash) });
  while (holder.current?.revision !== 7) await new Promise(setImmediate);
  t.equal(holder.current.keysByHash.get('shared')?.keyId, 'new');
  t.equal(holder.current.keysByHash.get('own')?.keyId, 'kept');
});
