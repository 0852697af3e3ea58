// A share of `npm run chaos:frames`: mutated messages and frames are answered, refused or closed with a code, never
// wrongly, and no worker dies of them.
import { test } from 'tap';
import { rememberAnswers } from '../support/mutations/judge.ts';
import { MUTATION_FLAGS } from '../support/mutations/mutation-flags.ts';
import { runTrial } from '../support/mutations/trial.ts';
import { flagWith, startService } from '../support/service.ts';

const SEED = 1;
const MUTATIONS = 500;
const AT_ONCE = 4;

test(`${MUTATIONS} mutations of valid messages: no crash, no wrong answer, none without one`, async (t) => {
  const service = await startService({ workers: 2 });
  t.teardown(() => service.stop());
  for (const flag of MUTATION_FLAGS) await flagWith(service, flag);
  const grant = { name: 'frames', scopes: ['read'], environments: ['prod'], rate_limit: 0 };
  const { key } = (await service.api('/api/v1/keys', { method: 'POST', json: grant })).body;
  const pids = service.workerPids();
  const deps = {
    port: service.port,
    key,
    flagIds: MUTATION_FLAGS.map(({ flag_id: id }) => id).sort(),
    evaluate: rememberAnswers((flagId, body) => {
      const headers = { 'content-type': 'application/json', 'x-api-key': key };
      return service.api(`/api/v1/flags/${flagId}/evaluate`, { method: 'POST', body, headers });
    }),
  };
  const wrong: string[] = [];
  const outcomes = new Set<string>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < MUTATIONS) {
      const number = next++;
      const result = await runTrial(deps, SEED * 1_000_003 + number);
      outcomes.add(result.outcome);
      if (result.wrong !== undefined) wrong.push(`${number}, ${result.mutation}: ${result.wrong}; ${result.sent}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  t.same(wrong, []);
  for (const outcome of ['answered', 'refused with INVALID_REQUEST', 'nothing to answer']) {
    t.ok(outcomes.has(outcome), `some were: ${outcome}`);
  }
  t.same(service.workerPids(), pids, 'no worker was replaced');
});
