// A flag as a worker serves it, for benches that measure the evaluator or the kernel without a service.
import { compileFlag } from '../dist/core/compile.js';

/** @param part what the bench is about, with `flag_id`, `type` and what that type needs. Throws when it does not compile. */
export function compiledFlag(part) {
  const document = {
    environment: 'prod',
    description: '',
    tags: [],
    owner: '',
    kind: 'release',
    enabled: true,
    bucket_by: 'user_id',
    salt: null,
    targets: [],
    prerequisites: [],
    rules: [],
    version: 1,
    revision: 1,
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    updated_by: 'bench',
    ...part,
  };
  const flag = compileFlag(JSON.stringify(document), { environment: 'prod', id: part.flag_id });
  if (flag.quarantined !== undefined) throw new Error(`${part.flag_id} does not compile: ${flag.quarantined}`);
  return flag;
}
