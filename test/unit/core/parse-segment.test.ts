import { test } from 'tap';
import { compileSegment, quarantineSegment, readSegmentItem } from '../../../src/core/compile-segment.ts';
import { EMPTY_LIST } from '../../../src/core/id-list.ts';
import { packIds } from '../../../src/core/pack-ids.ts';
import { openPackedIds } from '../../../src/core/packed-ids.ts';
import {
  createSegment,
  memberProblem,
  patchSegment,
  replaceSegment,
  sameSegment,
} from '../../../src/core/parse-segment.ts';
import type { SegmentDefinition, SegmentDocument } from '../../../src/core/segment.ts';
import { renderSegment } from '../../../src/core/segment-document.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { segmentDocument } from '../../support/segments.ts';
import { refusal, unwrap } from './support.ts';

const when = { attribute: 'country', op: 'in', values: ['PL'] } as const;
const BLANK: SegmentDefinition = {
  segment_id: 'beta',
  environment: 'prod',
  description: '',
  match_by: 'user_id',
  when: null,
};

const stored = (fields: Partial<SegmentDocument> = {}): SegmentDocument => segmentDocument('beta', fields);

test('a POST needs only the segment_id', (t) => {
  t.same(unwrap(createSegment({ segment_id: 'beta' }, 'prod')), BLANK);
  t.same(unwrap(createSegment({ ...stored(), when }, 'prod')), { ...BLANK, when }, 'read-only fields are ignored');
  t.same(refusal(createSegment({}, 'prod')), ['INVALID_REQUEST segment_id: is required']);
  t.same(refusal(createSegment([], 'prod')).slice(0, 1), ['INVALID_REQUEST : must be a JSON object, not an array']);
  t.end();
});

test('every mistake is told with its field', (t) => {
  t.match(
    refusal(
      createSegment(
        {
          segment_id: '-',
          environment: 'dev',
          description: 1,
          match_by: '',
          when: { any: [] },
          colour: 1,
          included: [],
        },
        'prod',
      ),
    ),
    [
      /included: is not part of the document; members have routes/,
      /colour: is not a known field; known are segment_id, environment, description, match_by, when/,
      /segment_id: must be 1 to 128 letters/,
      /environment: must equal the address: "prod", not "dev"/,
      /description: must be a string/,
      /match_by: must not be empty/,
      /when.any: must not be empty/,
    ],
  );
  let deep: unknown = 1;
  for (let i = 0; i < 100; i++) deep = { all: [deep] };
  t.match(refusal(createSegment({ segment_id: 'a', when: deep }, 'prod')), [/nested deeper than 64/, /is required/]);
  t.match(
    refusal(createSegment({ segment_id: 'a', when: { ...when, values: Array(5000).fill('x'.repeat(300)) } }, 'prod')),
    [/must be at most 1048576 bytes/],
  );
  t.end();
});

test('a PUT keeps the description and refuses to drop what it does not name', (t) => {
  const current = stored({ description: 'd', match_by: 'company', when });
  t.match(refusal(replaceSegment(current, {})), [/match_by: would be dropped/, /when: would be dropped/]);
  t.same(unwrap(replaceSegment(current, { match_by: 'user_id', when: null })), { ...BLANK, description: 'd' });
  t.same(unwrap(replaceSegment(stored({ description: 'd' }), { description: '' })), BLANK);
  t.match(refusal(replaceSegment(current, { segment_id: 'other', match_by: 'company', when })), [
    /must equal the address/,
  ]);
  t.end();
});

test('a PATCH merges; null puts a field back', (t) => {
  const current = stored({ description: 'd', match_by: 'company', when });
  t.same(unwrap(patchSegment(current, { when: null })).when, null);
  t.same(unwrap(patchSegment(current, { match_by: null, description: null })), { ...BLANK, when });
  t.same(unwrap(patchSegment(current, { when: { values: ['CZ'] } })).when, { ...when, values: ['CZ'] });
  t.match(refusal(patchSegment(current, { segment_id: null })), [/segment_id: has no default/]);
  t.ok(sameSegment(unwrap(patchSegment(current, { when: { op: 'in' } })), current));
  t.notOk(sameSegment(unwrap(patchSegment(current, { description: 'e' })), current));
  t.end();
});

test('match_by stays while a list has members', (t) => {
  const current = stored({ included_count: 2, excluded_count: 1 });
  t.match(refusal(patchSegment(current, { match_by: 'company' })), [
    /match_by: is "user_id" and cannot change .*\(3\)/,
  ]);
  t.match(refusal(replaceSegment(current, { match_by: 'company' })), [/cannot change/]);
  t.equal(unwrap(patchSegment(stored(), { match_by: 'company' })).match_by, 'company');
  t.end();
});

test('a member is a text that fits on one line', (t) => {
  for (const good of ['a', ' ', 'é', '\u{1f600}', '\u2028', 'x'.repeat(65_535), 'é'.repeat(32_767)]) {
    t.equal(memberProblem(good), undefined);
  }
  t.match(memberProblem(''), /empty/);
  t.match(memberProblem(7), /a string, not a number/);
  t.match(memberProblem('a\nb'), /line break/);
  t.match(memberProblem('a\r'), /line break/);
  t.match(memberProblem('a\u0000'), /U\+0000/);
  t.match(memberProblem('\ud800'), /surrogates/);
  t.match(memberProblem('é'.repeat(32_768)), /at most 65535 bytes as UTF-8, not 65536/);
  t.end();
});

const ADDRESS = { environment: 'prod', id: 'beta' };
const HASH = 'a'.repeat(64);

test('an item compiles to a segment that answers from its lists', (t) => {
  const json = JSON.stringify({
    document: stored({ match_by: 'company.id', when, included_count: 2 }),
    included: {
      layers: [{ adds: { hash: HASH, bytes: 1, count: 2 }, drops: null }],
      tail: { adds: ['c'], drops: ['a'] },
      count: 2,
    },
    excluded: EMPTY_LIST,
  });
  const packed = openPackedIds(packIds(['a', 'b'], hashUser), hashUser);
  const asked: string[] = [];
  const segment = compileSegment(
    unwrap(readSegmentItem(json, ADDRESS)),
    (hash) => {
      asked.push(hash);
      return packed;
    },
    hashUser,
  );
  t.same(asked, [HASH]);
  t.same(
    ['a', 'b', 'c', 'd'].filter((id) => segment.included?.has(id)),
    ['b', 'c'],
  );
  t.equal(segment.excluded, undefined);
  t.same(segment.matchPath, ['company', 'id']);
  t.equal(segment.when?.attribute, 'country');
  t.equal(segment.json, renderSegment(stored({ match_by: 'company.id', when, included_count: 2 })));
  t.same(Object.keys(JSON.parse(segment.json)), [
    'segment_id',
    'environment',
    'description',
    'match_by',
    'included_count',
    'excluded_count',
    'when',
    'version',
    'revision',
    'created_at',
    'updated_at',
    'updated_by',
  ]);
  t.end();
});

test('a broken item is refused with the reason, and its segment still tells what can be told', (t) => {
  const item = { document: stored({ version: 4 }), included: EMPTY_LIST, excluded: EMPTY_LIST };
  const broken = (change: object): string => JSON.stringify({ ...item, ...change });
  const layer = (hash: string) => ({ ...EMPTY_LIST, layers: [{ adds: { hash, bytes: 1, count: 1 }, drops: null }] });
  const cases: [string, RegExp][] = [
    ['{', /is not JSON/],
    ['[]', /must be a JSON object/],
    [broken({ document: { ...stored(), when: undefined } }), /when: is missing/],
    [broken({ document: { ...stored(), version: 'x' } }), /version: must be an integer/],
    [broken({ document: segmentDocument('other') }), /is not the segment of this address/],
    [broken({ included: {} }), /included.layers: is required/],
    [broken({ included: layer('../../etc/passwd') }), /included.layers\[0\].adds.hash: must be a SHA-256/],
    [
      broken({ excluded: { ...EMPTY_LIST, tail: { adds: [1], drops: [] } } }),
      /excluded.tail.adds: must be an array of strings/,
    ],
    [broken({ lost: 'its ids are gone' }), /its ids are gone/],
  ];
  for (const [json, reason] of cases) {
    const read = readSegmentItem(json, ADDRESS);
    t.match(refusal(read).join('; '), reason);
    const segment = quarantineSegment(json, ADDRESS, read.ok ? [] : read.issues);
    t.match(segment.quarantined, reason);
    t.match(JSON.parse(segment.json), { segment_id: 'beta', environment: 'prod' });
  }
  t.equal(quarantineSegment(broken({ included: {} }), ADDRESS, []).version, 4);
  t.end();
});
