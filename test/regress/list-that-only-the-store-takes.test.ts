// The store and the workers read a segment's lists each by rules of their own. One that only the store took was
// published as it was and quarantined by every worker, where a list from the segment's versions could have been served.
import { test } from 'tap';
import { readSegmentItem } from '../../src/core/compile-segment.ts';
import { EMPTY_LIST, parseIdList } from '../../src/core/id-list.ts';
import { segmentDocument } from '../support/segments.ts';

const layer = { adds: { hash: 'a'.repeat(64), bytes: 9, count: 1 }, drops: null };

test('the store takes exactly the lists that a worker takes', async (t) => {
  const lists: [string, object, boolean][] = [
    ['an empty one', EMPTY_LIST, true],
    ['one with a layer', { ...EMPTY_LIST, layers: [layer], count: 1 }, true],
    ['one that counts backwards', { ...EMPTY_LIST, count: -1 }, false],
    ['one whose blob does', { ...EMPTY_LIST, layers: [{ ...layer, adds: { ...layer.adds, bytes: -1 } }] }, false],
    ['one of too many layers', { ...EMPTY_LIST, layers: Array.from({ length: 17 }, () => layer) }, false],
    ['one without layers', { ...EMPTY_LIST, layers: undefined }, false],
  ];
  for (const [name, list, isList] of lists) {
    const item = JSON.stringify({ document: segmentDocument('s'), included: list, excluded: EMPTY_LIST });
    t.equal(parseIdList(JSON.stringify(list)) !== undefined, isList, `${name}, in the store`);
    t.equal(readSegmentItem(item, { environment: 'prod', id: 's' }).ok, isList, `${name}, in a worker`);
  }
});
