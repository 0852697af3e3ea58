// Who checks the checker: the naive hash against the shared vectors, its formats against their specifications.
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import {
  compareTimes,
  compareVersions,
  isInNetwork,
  type NaiveVersion,
  naiveAddress,
  naiveTime,
  naiveVersion,
} from '../../support/naive-formats.ts';
import { naiveMurmur3 } from '../../support/naive-murmur3.ts';

test('the naive hash gives every shared vector', (t) => {
  const read = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../vectors/murmur3/${name}`, import.meta.url), 'utf8')) as unknown;
  const hashes = read('x86_32.json') as readonly { s: string; seed: number; h: number }[];
  const short = hashes.filter(({ s, seed }) => seed === 0 && s.length < 200);
  t.ok(short.length > 80, `${short.length} hashes`);
  t.same(
    short.filter(({ s, h }) => naiveMurmur3(s) !== h),
    [],
  );
  const buckets = read('buckets.json') as readonly { user: string; flag: string; hash: number }[];
  t.same(
    buckets.filter(({ user, flag, hash }) => user.length < 200 && naiveMurmur3(`${user}:${flag}`) !== hash),
    [],
  );
  t.end();
});

test('times are in their order, leap seconds between their neighbours', (t) => {
  const ascending = [
    '0000-01-01T00:00:00+23:59',
    '0000-01-01T00:00:00Z',
    '0099-12-31T23:59:59Z',
    '1969-12-31T23:59:59.5Z',
    '1970-01-01T00:00:00Z',
    '2016-12-31T23:59:59.9999999999999Z',
    '2016-12-31T23:59:60Z',
    '2016-12-31T23:59:60.5Z',
    '2017-01-01T00:00:00Z',
    '2017-01-01T00:00:00.0000000001Z',
    '9999-12-31T23:59:59-23:59',
  ].map((text) => naiveTime(text) ?? t.fail(text));
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) {
      t.equal(Math.sign(compareTimes(a as [bigint, string], b as [bigint, string])), Math.sign(i - j));
    }
  }
  t.ok(naiveTime('1991-01-01T05:29:60+05:30'), 'a leap second half an hour off');
  for (const text of [
    '2016-12-31T22:59:60Z',
    '2016-12-30T23:59:60Z',
    '2023-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-01-01T24:00:00Z',
  ]) {
    t.equal(naiveTime(text), undefined, text);
  }
  t.end();
});

test('versions are in the order of the examples of SemVer', (t) => {
  const ascending = ['1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta', '1.0.0-beta.2', '1.0.0-beta.11']
    .concat(['1.0.0-rc.1', '1.0.0', '2.0.0', '2.1.0', '2.1.1', '10.0.0'])
    .map((text) => naiveVersion(text) as NaiveVersion);
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) t.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j));
  }
  for (const text of ['1', '1.2', 'v1.2.3', '01.2.3', '1.2.3-01', '1.2.3-', '1.2.3+', '1.2.3-a..b', ' 1.2.3']) {
    t.equal(naiveVersion(text), undefined, text);
  }
  t.end();
});

test('addresses are read as RFC 4291 writes them, mapped ones as IPv4', (t) => {
  const number = (text: string) => naiveAddress(text)?.number;
  t.equal(number('2001:DB8:0:0:8:800:200C:417A'), number('2001:db8::8:800:200c:417a'));
  t.equal(number('::'), 0n);
  t.equal(number('::1'), 1n);
  t.equal(number('1::'), 1n << 112n);
  t.same(naiveAddress('::FFFF:129.144.52.38'), naiveAddress('129.144.52.38'));
  t.same(naiveAddress('::13.1.68.3'), { bits: 128, number: 0x0d01_4403n });
  for (const text of [
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '::12345',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4::',
    ':1:2:3:4:5:6:7',
    ':::',
    '',
  ]) {
    t.equal(naiveAddress(text), undefined, text);
  }
  const isIn = (address: string, network: string) =>
    isInNetwork(naiveAddress(address) ?? { bits: 32, number: 0n }, network);
  t.ok(isIn('10.255.255.255', '10.0.0.0/8'));
  t.notOk(isIn('11.0.0.0', '10.0.0.0/8'));
  t.ok(isIn('::ffff:10.1.1.1', '::ffff:10.0.0.0/104'));
  t.ok(isIn('10.1.1.1', '::ffff:10.0.0.0/104'));
  t.notOk(isIn('::', '0.0.0.0/0'));
  t.end();
});
