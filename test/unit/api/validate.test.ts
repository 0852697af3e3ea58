import { test } from 'tap';
import { FlagPatch } from '../../../src/api/schemas.ts';
import { findIssues } from '../../../src/api/validate.ts';
import { documentLimits } from '../../../src/core/document-limits.ts';

const longest = 'x'.repeat(documentLimits.valueBytesMax);

test('a text that is too long for every field is refused at the door, by its path', (t) => {
  const when = { all: [{ attribute: 'a', op: 'equals', values: ['b', `${longest}x`] }] };
  t.same(findIssues(FlagPatch, { rules: [{ rule_id: 'r', when, serve: { variant: 'on' } }] }), [
    { path: 'rules[0].when.all[0].values[1]', message: 'must have at most 65536 characters, not 65537' },
  ]);
  t.match(findIssues(FlagPatch, { variants: { 'two words': `${longest}x` } }), [{ path: 'variants["two words"]' }]);
  t.end();
});

test('one that some field may have is left to whoever knows the field', (t) => {
  t.same(findIssues(FlagPatch, { targets: [{ variant: 'on', user_ids: [longest] }], description: longest }), []);
  t.end();
});
