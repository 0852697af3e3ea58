import { isIP } from 'node:net';
import fc from 'fast-check';
import { test } from 'tap';
import { isCidr, isDateTime, isSemver, patternProblem } from '../../../src/core/formats.ts';

test('RFC 3339 times are dates that exist, with a time and an offset', (t) => {
  for (const text of [
    '2030-01-31T12:00:00Z',
    '2024-02-29t00:00:00z',
    '2000-02-29T23:59:59.123456789+14:00',
    '1990-12-31T23:59:60Z',
    '1990-12-31T15:59:60-08:00',
  ]) {
    t.ok(isDateTime(text), text);
  }
  for (const text of [
    '',
    '2030-01-31',
    '2030-01-31T12:00:00',
    '2030-01-31 12:00:00Z',
    '2030-02-30T12:00:00Z',
    '1900-02-29T00:00:00Z',
    '2030-13-01T00:00:00Z',
    '2030-00-01T00:00:00Z',
    '2030-01-00T00:00:00Z',
    '2030-01-01T24:00:00Z',
    '2030-01-01T00:60:00Z',
    '2030-01-01T00:00:61Z',
    '2030-01-01T00:00:60Z',
    '2030-01-01T00:00:00.Z',
    '2030-01-01T00:00:00+24:00',
    '2030-01-01T00:00:00+0100',
    '1893456000',
    '30-01-01T00:00:00Z',
    '２０３０-01-01T00:00:00Z',
  ]) {
    t.notOk(isDateTime(text), text);
  }
  t.end();
});

test('SemVer 2.0 has three numbers without leading zeros', (t) => {
  for (const text of [
    '0.0.0',
    '1.10.0',
    '1.0.0-alpha.1',
    '1.0.0-0a',
    '1.0.0--',
    '1.0.0+001',
    '1.0.0-rc.1+build.5',
    '99999999999999999999.0.0',
  ])
    t.ok(isSemver(text), text);
  for (const text of [
    '',
    '1',
    '1.2',
    'v1.2.3',
    '01.2.3',
    '1.2.3-01',
    '1.2.3-',
    '1.2.3+',
    '1.2.3-a..b',
    '1.2.3.4',
    ' 1.2.3',
    '1.2.3-é',
    `1.2.3-${'a'.repeat(300)}`,
  ]) {
    t.notOk(isSemver(text), text);
  }
  t.end();
});

test('a network is an address and a prefix length, IPv4 or IPv6', (t) => {
  for (const text of [
    '10.0.0.0/8',
    '10.1.2.3/8',
    '0.0.0.0/0',
    '192.0.2.7/32',
    '2001:db8::/32',
    '::/0',
    '::1/128',
    '::ffff:10.0.0.0/104',
    '1:2:3:4:5:6:7:8/64',
    '1::8/1',
    '1:2:3:4:5:6:1.2.3.4/128',
    '64:ff9b::1.2.3.4/96',
    'FE80::/10',
  ]) {
    t.ok(isCidr(text), text);
  }
  for (const text of [
    '',
    '/',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0/8',
    '10.0.0.256/8',
    '010.0.0.0/8',
    '10.0.0.0.0/8',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    ':::/8',
    '1:2:3:4:5:6:7/64',
    '1:2:3:4:5:6:7:8:9/64',
    '1::2::3/64',
    '12345::/16',
    'g::/16',
    'fe80::1%eth0/64',
    '1:2:3:4:5:6:7::8/1',
    ':1::/16',
    '1:/16',
    '1.2.3.4::/96',
    '::1.2.3/96',
    ' 10.0.0.0/8',
  ]) {
    t.notOk(isCidr(text), text);
  }
  t.end();
});

test('an address is told as the platform tells it', (t) => {
  const part = fc.constantFrom('', ':', '::', '0', '1', 'ffff', '10000', '1.2.3.4', '.', '256', 'g');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.array(part, { maxLength: 9 }).map((parts) => parts.join('')),
        fc.array(part, { maxLength: 9 }).map((parts) => parts.join(':')),
      ),
      (address) => isCidr(`${address}/0`) === (isIP(address) !== 0),
    ),
    { numRuns: 5000 },
  );
  t.end();
});

test('a pattern with what RE2 leaves out, or with open brackets, is told', (t) => {
  for (const pattern of [
    '^a',
    '(a|b)+c$',
    '[]]',
    '[^]a]',
    '[[:alpha:]_]',
    '\\d{2,3}',
    '(?i)abc',
    '(?P<n>x)',
    '(?<n>x)',
    '\\(',
    '[(]',
    '\\Q(((\\E',
    '\\0',
    'é😀',
  ]) {
    t.equal(patternProblem(pattern), undefined, pattern);
  }
  for (const pattern of [
    '(',
    ')',
    'a)(',
    '[a',
    '[]',
    '[a\\]',
    'a\\',
    '(?=a)',
    '(?!a)',
    '(?<=a)b',
    '(?<!a)b',
    '(a)\\1',
  ]) {
    t.type(patternProblem(pattern), 'string', pattern);
  }
  t.end();
});
