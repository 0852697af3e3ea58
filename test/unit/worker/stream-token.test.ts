// The token in a stream's address.
import fc from 'fast-check';
import { test } from 'tap';
import { changeTag, revisionOf } from '../../../src/worker/change-tag.ts';
import { makeStreamToken, readStreamToken, tokenWindow } from '../../../src/worker/stream-token.ts';
import { makeSnapshot } from '../../support/serving.ts';

const SECRET = Buffer.alloc(32, 1);
const NOW = Date.UTC(2026, 0, 5, 9, 7, 0);
const MINUTE = 60_000;
const grant = { keyId: 'key_3f9a', environment: 'prod' };
const token = makeStreamToken(grant, SECRET, NOW) ?? '';

test('a token says who asked and for which environment', (t) => {
  t.same(readStreamToken(token, SECRET, NOW), grant);
  t.match(token, /^[A-Za-z0-9_-]+$/, 'and can stand in an address as it is');
  t.end();
});

test('whatever the key_id and environment, both come back', (t) => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 100, unit: 'binary' }),
      fc.stringMatching(/^[a-z0-9-]{1,63}$/),
      (keyId, environment) => {
        const wellFormed = Buffer.from(keyId).toString();
        const made = makeStreamToken({ keyId: wellFormed, environment }, SECRET, NOW) ?? '';
        const read = readStreamToken(made, SECRET, NOW);
        return read?.keyId === wellFormed && read.environment === environment;
      },
    ),
  );
  t.pass('100 pairs');
  t.end();
});

test('a token lives for 45 minutes to an hour, and those of a quarter of an hour are one', (t) => {
  const start = tokenWindow(NOW) * 15 * MINUTE;
  t.equal(makeStreamToken(grant, SECRET, start), makeStreamToken(grant, SECRET, start + 15 * MINUTE - 1));
  t.not(makeStreamToken(grant, SECRET, start), makeStreamToken(grant, SECRET, start + 15 * MINUTE));
  t.ok(readStreamToken(token, SECRET, start + 60 * MINUTE - 1));
  t.equal(readStreamToken(token, SECRET, start + 60 * MINUTE), undefined);
  t.end();
});

test('no byte of a token can be changed, cut off or added', (t) => {
  const bytes = Buffer.from(token, 'base64url');
  let refused = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    if (readStreamToken(changed.toString('base64url'), SECRET, NOW) === undefined) refused += 1;
    if (readStreamToken(bytes.subarray(0, at).toString('base64url'), SECRET, NOW) === undefined) refused += 1;
  }
  t.equal(refused, bytes.length * 2);
  t.equal(readStreamToken(`${token}AA`, SECRET, NOW), undefined);
  t.equal(readStreamToken(token, Buffer.alloc(32, 2), NOW), undefined, 'nor does another secret do');
  for (const wrong of ['', '=', token.replaceAll(/./g, '+'), 'A'.repeat(2000)])
    t.equal(readStreamToken(wrong, SECRET, NOW), undefined);
  t.end();
});

test('a key_id too long for an address gets no token', (t) => {
  t.equal(makeStreamToken({ ...grant, keyId: 'k'.repeat(800) }, SECRET, NOW), undefined);
  t.end();
});

test('a change tag is read back by a worker of the same store, if it can be waited for', (t) => {
  const snapshot = makeSnapshot(812, [], []);
  const prod = snapshot.environments.get('prod');
  const tag = changeTag(snapshot, prod as NonNullable<typeof prod>);
  t.equal(tag, 'e1-812');
  t.equal(revisionOf(tag, snapshot), 812);
  t.equal(revisionOf('e1-10812', snapshot), 10_812);
  for (const other of ['e1-10813', 'e2-812', '812', 'e1-', '', 'e1-812x', 'e1-99999999999999999999'])
    t.equal(revisionOf(other, snapshot), undefined, other);
  t.end();
});
