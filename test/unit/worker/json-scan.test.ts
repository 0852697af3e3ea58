import { test } from 'tap';
import { scanJson } from '../../../src/worker/http/json-scan.ts';

function count(text: string, member: 'attributes' | 'context' | undefined): number {
  return scanJson(Buffer.from(text), 64, member).attributeCount;
}

test('the attributes of a single context are counted before the body is parsed', (t) => {
  t.equal(count('{"user_id":"u","attributes":{"a":1,"b":[1,2],"c":{"d":1,"e":2}}}', 'attributes'), 3);
  t.equal(count('{ "attributes" : {"a":1} , "user_id": "u:v"}', 'attributes'), 1);
  t.equal(count('{"context":{"targetingKey":"u","a":":"},"extra":{"a":1,"b":2,"c":3}}', 'context'), 2);
  t.end();
});

test('nothing else is taken for attributes', (t) => {
  t.equal(count('{"contexts":[{"attributes":{"a":1,"b":2}}]}', 'attributes'), 0);
  t.equal(count('{"other":{"a":1},"attributes":[{"a":1}]}', 'attributes'), 0);
  t.equal(count('{"my-attributes":{"a":1}}', 'attributes'), 0);
  t.equal(count('{"attributes":{"a":1}}', undefined), 0);
  t.equal(count('{"a":1}', 'attributes'), 0);
  t.equal(count('{{"a":1}}', 'attributes'), 0);
  t.end();
});

test('a name that is written with escapes is left to the parser', (t) => {
  t.equal(count('{"attribute\\u0073":{"a":1}}', 'attributes'), 0);
  t.end();
});
