import { test } from 'tap';
import { flagKeyOf, ofrepPath } from '../../../src/worker/http/ofrep-path.ts';
import { canonicalJson } from '../../../src/worker/routes/ofrep-tag.ts';

test('paths of OFREP are taken as clients send them', (t) => {
  const cases: [sent: string, path: string | undefined, key: string | undefined][] = [
    ['/ofrep/v1/evaluate/flags', '/ofrep/v1/evaluate/flags', undefined],
    ['//ofrep/v1/evaluate/flags', '/ofrep/v1/evaluate/flags', undefined],
    ['///ofrep/v1/stream', '/ofrep/v1/stream', undefined],
    ['/ofrep/v1/evaluate/flags/a', '/ofrep/v1/evaluate/flags/a', 'a'],
    ['//ofrep/v1/evaluate/flags/a/b//c', '/ofrep/v1/evaluate/flags/a%2Fb%2F%2Fc', 'a/b//c'],
    ['/ofrep/v1/evaluate/flags/a%2Fb', '/ofrep/v1/evaluate/flags/a%2Fb', 'a/b'],
    ['/ofrep/v1/evaluate/flags/a%', '/ofrep/v1/evaluate/flags/a%', 'a%'],
    ['/ofrep/v1/evaluate/flags/%C5%BC', '/ofrep/v1/evaluate/flags/%C5%BC', 'ż'],
    ['/ofrep/v1/evaluate/flags/', '/ofrep/v1/evaluate/flags/', ''],
    ['/api//ofrep/v1/evaluate/flags', undefined, undefined],
    ['/ofrep', undefined, undefined],
    ['/', undefined, undefined],
    ['//', undefined, undefined],
    ['', undefined, undefined],
  ];
  for (const [sent, path, key] of cases) {
    t.equal(ofrepPath(sent), path, sent);
    t.equal(flagKeyOf(ofrepPath(sent) ?? ''), key, `${sent} asks for ${key}`);
  }
  t.end();
});

test('one context has one text, whatever the order of its names', (t) => {
  t.equal(canonicalJson({ b: [1, { d: null, c: 'ż"' }], a: true }), '{"a":true,"b":[1,{"c":"ż\\"","d":null}]}');
  t.equal(canonicalJson({ a: 1, b: { x: 1, y: 2 } }), canonicalJson({ b: { y: 2, x: 1 }, a: 1 }));
  t.not(canonicalJson({ a: [1, 2] }), canonicalJson({ a: [2, 1] }), 'but arrays have an order');
  t.not(canonicalJson({ a: '1' }), canonicalJson({ a: 1 }));
  t.equal(canonicalJson(JSON.parse('{"__proto__":1,"constructor":2}')), '{"__proto__":1,"constructor":2}');
  t.end();
});
