// Lists of flags were found by their text in a Map. The engine hashes long strings by their length alone: a client that
// named thousands of long lists of one length made each further look-up compare them all, tens of milliseconds of a
// worker for one small message. Long lists are found by a digest.
import { test } from 'tap';
import { createPlans } from '../../src/worker/batch/plans.ts';
import { createFlagLists } from '../../src/worker/socket/flag-lists.ts';
import { createPreparedLists } from '../../src/worker/socket/prepared-lists.ts';

/** Up to here a hash is of all characters. */
const HASHED_CHARS_MAX = 16_383;

/** 150 names of 120 characters, the last of them its own. */
const listOf = (n: number): string[] =>
  Array.from({ length: 150 }, (_, i) => `${'x'.repeat(110)}${String(i === 149 ? n : i).padStart(10, '0')}`);

test('long lists of subscriptions have short names, and are told apart all the same', (t) => {
  const lists = createFlagLists();
  const one = lists.take(listOf(1000));
  const other = lists.take(listOf(1001));
  t.equal(lists.take(listOf(1000)), one);
  t.not(other, one);
  t.ok(one.name.length < HASHED_CHARS_MAX);
  t.ok(one.textBytes > HASHED_CHARS_MAX);
  for (const list of [one, one, other]) lists.release(list);
  t.equal(lists.count, 0);
  t.end();
});

test('long lists of handles have short names, and are told apart all the same', (t) => {
  const lists = createPreparedLists(createPlans());
  const one = lists.take('prod', listOf(1000));
  t.equal(lists.take('prod', listOf(1000)), one);
  t.not(lists.take('prod', listOf(1001)), one);
  t.not(lists.take('staging', listOf(1000)), one);
  t.ok((one?.name.length ?? 0) < HASHED_CHARS_MAX);
  t.ok((one?.bytes ?? 0) > HASHED_CHARS_MAX);
  t.end();
});
