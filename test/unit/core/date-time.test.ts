import fc from 'fast-check';
import { test } from 'tap';
import { compareMoments, isAfter, isBefore, isDateTime, type Moment, toMoment } from '../../../src/core/date-time.ts';

test('RFC 3339 times are dates that exist, with a time and an offset', (t) => {
  for (const text of [
    '2030-01-31T12:00:00Z',
    '2024-02-29t00:00:00z',
    '2000-02-29T23:59:59.123456789+14:00',
    '1990-12-31T23:59:60Z',
    '1990-12-31T15:59:60-08:00',
    '2017-01-01T05:29:60.5+05:30',
    '0000-12-31T23:59:60Z',
    '0000-01-01T00:00:00+23:59',
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
    '2030-01-30T23:59:60Z',
    '2030-01-31T23:59:60-01:00',
    '2030-01-01T00:00:00.Z',
    '2030-01-01T00:00:00+24:00',
    '2030-01-01T00:00:00+0100',
    '2030-01-01T00:00:00+01:00x',
    '2030-01-01T00:00:00Zx',
    '2030/01/01T00:00:00Z',
    '2030-01/01T00:00:00Z',
    '2030-01-01T00.00:00Z',
    '1893456000',
    '30-01-01T00:00:00Z',
    '２０３０-01-01T00:00:00Z',
  ]) {
    t.notOk(isDateTime(text), text);
  }
  t.end();
});

const twoDigits = (max: number, min = 0) => fc.integer({ min, max }).map((value) => String(value).padStart(2, '0'));

const aTime = fc.record({
  year: fc.oneof(fc.integer({ min: 0, max: 9999 }), fc.constantFrom(0, 4, 100, 400, 1969, 1970, 2000, 9999)),
  month: fc.integer({ min: 1, max: 12 }),
  day: fc.integer({ min: 1, max: 28 }),
  clock: fc.tuple(twoDigits(23), twoDigits(59), twoDigits(59)),
  fraction: fc.oneof(fc.constant(''), fc.stringMatching(/^[0-9]{1,25}$/)),
  offset: fc.oneof(
    fc.constant('Z'),
    fc.tuple(fc.constantFrom('+', '-'), twoDigits(23), twoDigits(59)).map(([sign, h, m]) => `${sign}${h}:${m}`),
  ),
});

type Time = typeof aTime extends fc.Arbitrary<infer T> ? T : never;

function textOf({ year, month, day, clock, fraction, offset }: Time): string {
  const date = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
  return `${date}T${clock.join(':')}${fraction === '' ? '' : `.${fraction}`}${offset}`;
}

/** Units of 10^-25 seconds, by the platform's calendar and integers of any size. */
function exact({ year, month, day, clock, fraction, offset }: Time): bigint {
  const [hour, minute, second] = clock.map(Number) as [number, number, number];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const sign = offset === 'Z' ? 0 : offset.startsWith('+') ? 1 : -1;
  const offsetSeconds = sign * (Number(offset.slice(1, 3)) * 3600 + Number(offset.slice(4)) * 60 || 0);
  const seconds = BigInt(date.getTime() / 1000 - offsetSeconds);
  return seconds * 10n ** 25n + BigInt((fraction || '0').padEnd(25, '0'));
}

test('times are compared exactly', (t) => {
  const near = fc.tuple(aTime, aTime).map(([a, b]): [Time, Time] => [a, { ...a, fraction: b.fraction }]);
  fc.assert(
    fc.property(fc.oneof(fc.tuple(aTime, aTime), near), ([a, b]) => {
      const [aText, bText] = [textOf(a), textOf(b)];
      const [left, right] = [exact(a), exact(b)];
      const bound = toMoment(bText) as Moment;
      return (
        isBefore(aText, bound) === left < right &&
        isAfter(aText, bound) === left > right &&
        Math.sign(compareMoments(toMoment(aText) as Moment, bound)) === (left < right ? -1 : left > right ? 1 : 0)
      );
    }),
    { numRuns: 20_000 },
  );
  t.end();
});

test('of texts that are nearly times, those that are none are neither before nor after', (t) => {
  const bound = toMoment('2030-01-01T00:00:00Z') as Moment;
  const noise = fc.constantFrom('', '0', '9', '-', ':', 'T', 'Z', '.', '+', ' ', 'é');
  fc.assert(
    fc.property(aTime, fc.nat({ max: 30 }), noise, fc.integer({ min: 0, max: 2 }), (time, index, char, cut) => {
      const text = textOf(time);
      const changed = text.slice(0, index) + char + text.slice(index + cut);
      const isRanked = isBefore(changed, bound) || isAfter(changed, bound);
      return isDateTime(changed) === (toMoment(changed) !== undefined) && (isDateTime(changed) || !isRanked);
    }),
    { numRuns: 10_000 },
  );
  t.equal(toMoment('soon'), undefined);
  t.end();
});
