import { test } from 'tap';
import { compileFlag } from '../../src/core/compile.ts';
import { renderDocument } from '../../src/core/document.ts';
import { evaluate } from '../../src/core/evaluate.ts';
import { createFlag } from '../../src/core/parse.ts';
import { hashUser, murmur3 } from '../../src/kernel/murmur3.ts';
import { alone } from '../unit/core/support.ts';

test('an empty string in bucket_by is a text like any other and has a bucket', (t) => {
  const definition = createFlag({ flag_id: 'f', enabled: true, rollout_percentage: 50, bucket_by: 'company' }, 'prod');
  if (!definition.ok) throw new Error('the flag was refused');
  const at = '2026-01-05T09:00:00.000Z';
  const stored = { version: 1, revision: 1, created_at: at, updated_at: at, updated_by: 'key_test' };
  const document = renderDocument({ ...definition.value, ...stored });
  const flag = compileFlag(document, { environment: 'prod', id: 'f' });
  const outcome = evaluate(flag, { userId: 'u', attributes: { company: '' } }, alone, hashUser);
  t.equal(outcome.reason, 'SPLIT');
  t.equal(outcome.enabled, murmur3(Buffer.from(':f'), 0) % 10_000 < 5000);
  t.equal(
    evaluate(flag, { userId: 'u', attributes: {} }, alone, hashUser).reason,
    'BUCKET_KEY_MISSING',
    'absent is not empty',
  );
  t.end();
});
