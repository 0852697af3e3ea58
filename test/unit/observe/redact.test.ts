// What must not get into a log: keys, and who asked.
import { test } from 'tap';
import { limits } from '../../../src/limits.ts';
import { cleanFields, cleanMessage, scrubLine } from '../../../src/observe/redact.ts';

const KEY = 'burgee_admin_0aZ9bY8cX7dW6eV5fU4gT3hS2iR1jQ0kP9lO8mN7nM6_1a2b3c4d';

test('a key is taken out of a finished line wherever it stands', (t) => {
  const line = scrubLine(JSON.stringify({ msg: `refused ${KEY}!`, at: `/x?key=${KEY}`, list: [KEY] }), []);
  t.notMatch(line, /0aZ9/);
  t.equal((JSON.parse(line) as { msg: string }).msg, 'refused burgee_[redacted]!');
  t.end();
});

test('names of metrics are no keys', (t) => {
  const line = 'burgee_http_request_duration_seconds burgee_snapshot_revision';
  t.equal(scrubLine(line, []), line);
  t.end();
});

test('a secret of any other form is taken out when it is named', (t) => {
  const secret = 'say "friend" and enter, thirty-two of them';
  const line = scrubLine(JSON.stringify({ msg: `got ${secret}` }), [JSON.stringify(secret).slice(1, -1)]);
  t.equal(line, '{"msg":"got [redacted]"}');
  t.end();
});

test('fields that hold a key or a person are replaced at any depth', (t) => {
  t.same(
    cleanFields({
      apiKey: 'a',
      'X-API-Key': 'b',
      key: 'c',
      api_key: 'd',
      Authorization: 'e',
      user_id: 'f',
      userId: 'g',
      attributes: { h: 1 },
      keyId: 'k_1',
      route: '/flags/{flag_id}',
      url: '/flags?user_id=u1&attr.a=2',
      deep: [{ context: { user_id: 'i' } }],
      flagId: 'f',
    }),
    {
      apiKey: '[redacted]',
      'X-API-Key': '[redacted]',
      key: '[redacted]',
      api_key: '[redacted]',
      Authorization: '[redacted]',
      user_id: '[redacted]',
      userId: '[redacted]',
      attributes: '[redacted]',
      keyId: 'k_1',
      route: '/flags/{flag_id}',
      url: '/flags',
      deep: [{ context: '[redacted]' }],
      flagId: 'f',
    },
  );
  t.end();
});

test('an error shows its type, message, code, stack and cause, and no other property', (t) => {
  const cause = Object.assign(new TypeError('inner'), { code: 'E_INNER' });
  const error = Object.assign(new Error('outer', { cause }), { detail: 'Key (user)=(u1)', parameters: ['u1'] });
  const { err } = cleanFields({ err: error }) as { err: Record<string, unknown> };
  t.match(err, { type: 'Error', message: 'outer', cause: { type: 'TypeError', message: 'inner', code: 'E_INNER' } });
  t.same(Object.keys(err), ['type', 'message', 'stack', 'cause']);
  t.end();
});

test('what JSON.parse quotes of a request is taken out of message and stack', (t) => {
  let caught: unknown;
  try {
    JSON.parse('{"user_id": u-secret}');
  } catch (error) {
    caught = error;
  }
  t.notMatch(JSON.stringify(cleanFields({ err: caught })), /u-secret/);
  t.notMatch(cleanMessage((caught as Error).message), /u-secret/);
  t.end();
});

test('long texts, long lists, deep objects and circles come to an end', (t) => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const cleaned = cleanFields({
    text: 'x'.repeat(100_000),
    list: Array(1000).fill(0),
    circle,
    big: 10n,
    bytes: Buffer.alloc(9),
  });
  t.equal((cleaned['text'] as string).length, limits.logValueCharsMax + 3);
  t.equal((cleaned['list'] as unknown[]).length, 100);
  t.match(JSON.stringify(cleaned['circle']), /deeper/);
  t.equal(cleaned['big'], '10');
  t.equal(cleaned['bytes'], '[9 bytes]');
  t.end();
});
