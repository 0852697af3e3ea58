// Whichever way somebody asks, the answer is the same: binary frames, JSON over the socket, batches and single
// evaluations over HTTP, OFREP. `npm run bench:same-answers` asks a million pairs; this is a share of it.
import { test } from 'tap';
import { manyContexts, writeManyFlags } from '../support/same-answers/many-flags.ts';
import { compareWays } from '../support/same-answers/ways.ts';
import { startService } from '../support/service.ts';

const SEED = 20_261_124;
const FLAGS = 100;
const CONTEXTS = 500;
const SINGLES = 2000;
const WAYS = [
  'GET single',
  'OFREP bulk',
  'POST /evaluate',
  'POST single',
  'binary op 1',
  'binary op 1 packed',
  'binary op 2',
  'binary op 2 packed',
  'evaluate',
  'evaluate_batch',
];

test(`${FLAGS * CONTEXTS} random pairs of user and flag have one answer by ${WAYS.length} ways`, async (t) => {
  const service = await startService({ workers: 1 });
  t.teardown(() => service.stop());
  const many = await writeManyFlags(service, SEED, FLAGS);
  const grant = { name: 'same', scopes: ['evaluate'], environments: ['prod'], rate_limit: 0 };
  const { key } = (await service.api('/api/v1/keys', { method: 'POST', json: grant })).body;
  const contexts = manyContexts(SEED, CONTEXTS);
  const result = await compareWays({ port: service.port, key, many, contexts, singles: SINGLES, lanes: 2 });
  t.same([...result.compared.keys()].sort(), WAYS);
  for (const way of ['OFREP bulk', 'POST /evaluate', 'evaluate', 'evaluate_batch', 'binary op 2']) {
    t.equal(result.compared.get(way), FLAGS * CONTEXTS, way);
  }
  for (const reason of [
    'STATIC',
    'SPLIT',
    'TARGET_MATCH',
    'RULE_MATCH',
    'PREREQUISITE_FAILED',
    'BUCKET_KEY_MISSING',
    'DISABLED',
  ]) {
    t.ok((result.reasons.get(reason) ?? 0) > CONTEXTS / 10, `${result.reasons.get(reason)} answers were ${reason}`);
  }
  t.same(result.examples, []);
  t.same([...result.differences], []);
});
