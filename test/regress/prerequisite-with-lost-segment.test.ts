// A flag whose prerequisite asks for a segment that is not there answered QUARANTINED. The contract gives that answer to
// the prerequisite; whoever depends on it has a prerequisite that is not met, as when the row of that flag is broken.
import { test } from 'tap';
import { evaluate } from '../../src/core/evaluate.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { compiled } from '../unit/core/support.ts';

test('a lost segment makes the flag that asks for it QUARANTINED, and its dependents PREREQUISITE_FAILED', (t) => {
  const broken = compiled({
    flag_id: 'broken',
    enabled: true,
    rules: [{ rule_id: 'r', when: { segment: 'lost' }, serve: { variant: 'on' } }],
  });
  const dependent = compiled({
    flag_id: 'dependent',
    enabled: true,
    rollout_percentage: 100,
    prerequisites: [{ flag_id: 'broken', variant: 'off' }],
  });
  const further = compiled({
    flag_id: 'further',
    enabled: true,
    rollout_percentage: 100,
    prerequisites: [{ flag_id: 'dependent', variant: 'off' }],
  });
  const scope = {
    flags: new Map([broken, dependent, further].map((flag) => [flag.flagId, flag])),
    segments: new Map(),
  };
  const reasonOf = (flag: typeof broken) =>
    evaluate(flag, { userId: 'u', attributes: undefined }, scope, hashUser).reason;
  t.equal(reasonOf(broken), 'QUARANTINED');
  t.equal(reasonOf(dependent), 'PREREQUISITE_FAILED');
  t.equal(reasonOf(further), 'PREREQUISITE_FAILED');
  t.end();
});
