// Two ways read an evaluation's query: the short one takes what is plainly right, the other tells what is wrong.
import { test } from 'tap';
import { routes } from '../../../src/api/routes.ts';
import { checkAttributes, readScalar } from '../../../src/worker/http/attributes.ts';
import { readQuery } from '../../../src/worker/http/query.ts';
import { QueryScan } from '../../../src/worker/http/query-scan.ts';

const evaluateFlag = routes.find(({ operationId }) => operationId === 'evaluateFlag');
if (evaluateFlag === undefined) throw new Error('no such route');

const RIGHT = [
  'user_id=u1',
  'user_id=u1&environment=prod',
  'environment=prod&user_id=u1',
  'user_id=a+b',
  'user_id=%C5%BC%20x',
  'user_id=%2B',
  'user_id=a%3Db',
  'user_id=a=b',
  'user_id=żółw',
  'user_id=%F0%9F%98%80',
  'user_id=%00',
  'user_id=u1&attr.country=PL',
  'user_id=u1&attr.a.b.c=1&attr.a.b.d=2',
  'user_id=u1&attr.x=1&attr.x=2&attr.x=z',
  'user_id=u1&attr.__proto__=1&attr.constructor.prototype=2',
  'user_id=u1&attr.na%20me=1',
  'user_id=__proto__',
  'user_id=u1&attr.v=%221.10%22',
];
const WRONG = [
  '',
  'user_id',
  'user_id=',
  'user_id=%',
  'user_id=%7',
  'user_id=%zz',
  'user_id=%ff',
  'user_id=%ED%A0%80',
  'user_id=a&user_id=b',
  'user_id=u&environment=a&environment=b',
  'user_id=u&enviroment=dev',
  'user_id=u&explain=yes',
  'user_id=u&at_revision=3',
  'user_id=u&attr.=1',
  'user_id=u&attr.a..b=1',
  'user_id=u&attr.a=1&attr.a.b=2',
  'user_id=u&attr.a.b=1&attr.a=2',
  `user_id=u&${'attr.x=1&'.repeat(300)}`,
  `user_id=u&attr.x=${'y'.repeat(70_000)}`,
  `user_id=u&attr.${'a.'.repeat(16)}b=1`,
  'user_id=a\uFFFD',
];

test('both ways read the same', async (t) => {
  const scan = new QueryScan();
  for (const query of RIGHT) {
    const read = readQuery(query, evaluateFlag);
    t.same(read.issues, [], query);
    t.equal(scan.read(query), true, query);
    t.equal(scan.userId, read.values.get('user_id'));
    t.equal(scan.environment, read.values.get('environment') ?? '');
    t.equal(JSON.stringify(scan.attributes), JSON.stringify(read.attributes));
  }
});

test('the short way takes nothing that the other refuses', async (t) => {
  const scan = new QueryScan();
  for (const query of WRONG) {
    t.equal(scan.read(query), false, query.slice(0, 60));
    const { values, issues } = readQuery(query, evaluateFlag);
    t.ok(issues.length > 0 || (values.get('user_id') ?? '') === '', query.slice(0, 60));
  }
});

test('nothing is left from the request before', async (t) => {
  const scan = new QueryScan();
  t.ok(scan.read('user_id=u1&environment=dev&attr.x=1'));
  t.ok(scan.read('user_id=u2'));
  t.same([scan.userId, scan.environment, scan.attributes], ['u2', '', undefined]);
});

test('attributes take the types that JSON would give them', async (t) => {
  const cases: [string, unknown][] = [
    ['PL', 'PL'],
    ['', ''],
    ['true', true],
    ['false', false],
    ['null', null],
    ['True', 'True'],
    ['1', 1],
    ['-1', -1],
    ['1.5', 1.5],
    ['1.10', 1.1],
    ['1e3', 1000],
    ['1E+3', 1000],
    ['0.1', 0.1],
    ['01', '01'],
    ['1.', '1.'],
    ['.5', '.5'],
    ['+1', '+1'],
    ['0x10', '0x10'],
    ['NaN', 'NaN'],
    ['Infinity', 'Infinity'],
    ['9007199254740992', 9007199254740992],
    ['9007199254740993', '9007199254740993'],
    ['12345678901234567890', '12345678901234567890'],
    ['1e400', '1e400'],
    ['1e-400', '1e-400'],
    ['0.1000000000000000055', '0.1000000000000000055'],
    ['100000000000000000000', 100000000000000000000],
    ['"1.10"', '1.10'],
    ['"true"', 'true'],
    ['"', '"'],
    ['"a', '"a'],
    ['"a"b"', '"a"b"'],
    ['"\\u0041"', 'A'],
    ['[1]', '[1]'],
    ['{}', '{}'],
    ['-', '-'],
    ['1 ', '1 '],
  ];
  for (const [text, value] of cases) t.strictSame(readScalar(text), value, text);
});

test('a dot builds a path and a repeated name an array, of own properties only', async (t) => {
  const { attributes } = readQuery('attr.a.b=1&attr.a.c=x&attr.l=1&attr.l=2&attr.__proto__.admin=true', evaluateFlag);
  t.equal(JSON.stringify(attributes), '{"a":{"b":1,"c":"x"},"l":[1,2],"__proto__":{"admin":true}}');
  t.equal(({} as { admin?: unknown }).admin, undefined);
});

test('attributes of a body have bounds', async (t) => {
  t.equal(checkAttributes({ a: 1 }, 'attributes', 10), undefined);
  t.equal(checkAttributes(undefined, 'attributes', 10), undefined);
  t.match(checkAttributes([], 'attributes', 10)?.message, /object/);
  t.match(checkAttributes(null, 'attributes', 10)?.message, /object/);
  t.match(
    checkAttributes(Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, 1])), 'a', 10)?.message,
    /at most 256/,
  );
  t.match(checkAttributes(JSON.parse(`{"a":${'['.repeat(16)}${']'.repeat(16)}}`), 'a', 10)?.message, /16 levels/);
  t.match(checkAttributes({ a: 'x'.repeat(70_000) }, 'a', 70_010)?.message, /bytes/);
});
