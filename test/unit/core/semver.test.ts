import fc from 'fast-check';
import { test } from 'tap';
import { compareVersions, isSemver, precedenceEnd, precedenceText } from '../../../src/core/semver.ts';

/** The pattern that semver.org suggests. */
const SUGGESTED =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$/;

const aNumber = fc.oneof(fc.constantFrom('0', '1', '9', '10', '9007199254740993'), fc.bigInt({ min: 0n }).map(String));
const anIdentifier = fc.oneof(aNumber, fc.stringMatching(/^[0-9]{0,2}[a-zA-Z-][0-9a-zA-Z-]{0,3}$/));
const aVersion = fc
  .record({
    core: fc.tuple(aNumber, aNumber, aNumber),
    pre: fc.array(anIdentifier, { maxLength: 3 }),
    build: fc.array(fc.stringMatching(/^[0-9a-zA-Z-]{1,3}$/), { maxLength: 2 }),
  })
  .map(
    ({ core, pre, build }) =>
      core.join('.') +
      (pre.length === 0 ? '' : `-${pre.join('.')}`) +
      (build.length === 0 ? '' : `+${build.join('.')}`),
  );

/** Precedence as clause 11 of the specification says it, with integers of any size. */
function naive(a: string, b: string): number {
  const parts = (text: string) => {
    const [, major, minor, patch, pre] = SUGGESTED.exec(text) as unknown as string[];
    return { core: [major, minor, patch].map((digits) => BigInt(digits as string)), pre: pre?.split('.') };
  };
  const left = parts(a);
  const right = parts(b);
  for (const [i, number] of left.core.entries()) {
    if (number !== right.core[i]) return number < (right.core[i] as bigint) ? -1 : 1;
  }
  if (left.pre === undefined || right.pre === undefined) {
    return left.pre === right.pre ? 0 : left.pre === undefined ? 1 : -1;
  }
  for (let i = 0; i < Math.max(left.pre.length, right.pre.length); i++) {
    const [x, y] = [left.pre[i], right.pre[i]];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    if (x === y) continue;
    const [xIsNumber, yIsNumber] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (xIsNumber && yIsNumber) return BigInt(x) < BigInt(y) ? -1 : 1;
    if (xIsNumber !== yIsNumber) return xIsNumber ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}

test('a version is what semver.org says it is', (t) => {
  const nearly = fc.string({ unit: fc.constantFrom('0', '1', '12', '.', '-', '+', 'a', 'Z', ' ', 'é'), maxLength: 12 });
  fc.assert(
    fc.property(
      fc.oneof(
        aVersion,
        nearly,
        nearly.map((text) => `1.0.0${text}`),
      ),
      (text) => {
        return isSemver(text) === SUGGESTED.test(text);
      },
    ),
    { numRuns: 20_000 },
  );
  t.end();
});

test('versions are in the order of clause 11', (t) => {
  fc.assert(
    fc.property(aVersion, aVersion, fc.boolean(), (a, other, isNear) => {
      const b = isNear ? a.replace(/\d/, '7').replace(/^0+(?=\d)/, '') : other;
      if (!isSemver(b)) return true;
      const found = Math.sign(compareVersions(a, precedenceEnd(a), b, precedenceEnd(b)));
      return found === naive(a, b) && (found === 0) === (precedenceText(a) === precedenceText(b));
    }),
    { numRuns: 20_000 },
  );
  t.end();
});

test('the text of its precedence is a version without its build', (t) => {
  t.equal(precedenceText('1.2.3-rc.1+build.5'), '1.2.3-rc.1');
  t.equal(precedenceText('1.2.3'), '1.2.3');
  t.equal(precedenceText('1.2'), undefined);
  t.end();
});
