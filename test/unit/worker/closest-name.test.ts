import fc from 'fast-check';
import { test } from 'tap';
import { createNameFinder, editsBetween } from '../../../src/worker/routes/closest-name.ts';

/** By the definition, without a bound. */
function edits(a: string, b: string): number {
  const table = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => i + j));
  const at = (i: number, j: number): number => table[i]?.[j] as number;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, at(i - 2, j - 2) + 1);
      (table[i] as number[])[j] = least;
    }
  }
  return at(a.length, b.length);
}

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 });

test('edits are counted as by the definition, up to the bound', (t) => {
  fc.assert(
    fc.property(word, word, fc.nat(5), (a, b, bound) => {
      const [found, right] = [editsBetween(a, b, bound), edits(a, b)];
      return right <= bound ? found === right : found > bound;
    }),
    { numRuns: 20_000 },
  );
  t.end();
});

test('the closest name is as near as any', (t) => {
  fc.assert(
    fc.property(word, fc.array(word, { maxLength: 8 }), (wanted, names) => {
      const bound = Math.min(4, Math.max(1, Math.floor(wanted.length / 3)));
      const near = names.map((name) => edits(wanted, name)).filter((count) => count <= bound);
      const found = createNameFinder(names, 1000).closest(wanted);
      return found === undefined ? near.length === 0 : edits(wanted, found) === Math.min(...near);
    }),
    { numRuns: 5000 },
  );
  t.end();
});

test('a typo leads to the name that was meant', (t) => {
  const finder = createNameFinder(['new-checkout', 'dark-mode', 'payments.v2', 'x'], 1000);
  const cases = {
    'new-chekcout': 'new-checkout',
    NewCheckout: 'new-checkout',
    dark_mode: 'dark-mode',
    'payments-v2': 'payments.v2',
    search: undefined,
  };
  for (const [wanted, meant] of Object.entries(cases)) t.equal(finder.closest(wanted), meant, wanted);
  t.equal(createNameFinder(['new-checkout'], 0).closest('new-chekcout'), undefined, 'no comparison is left');
  t.end();
});
