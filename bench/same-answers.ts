// The same (user, flag) pairs by every way there is: how many answers differ. There is one right number.
//
//   npm run bench:same-answers
//   npm run bench:same-answers -- --pairs 1000000 --singles 100000 --seed 7
//
// Every pair is asked by binary frames (op 2, and op 1 where there are no attributes; plain and packed), by JSON over
// the socket (evaluate and evaluate_batch), by POST /evaluate and by OFREP bulk; a share of them also one by one over HTTP.
import { parseArgs } from 'node:util';
import { manyContexts, writeManyFlags } from '../test/support/same-answers/many-flags.ts';
import { compareWays } from '../test/support/same-answers/ways.ts';
import { startService } from '../test/support/service.ts';
import { positiveInteger } from './socket/machine.ts';

const FLAGS = 100;
const LANES = 4;

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: '1000000' },
    singles: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(1 + (Date.now() % 1_000_000)) },
  },
});
const pairs = positiveInteger('pairs', options.pairs);
const singles = positiveInteger('singles', options.singles);
const seed = positiveInteger('seed', options.seed);

const service = await startService({ workers: 1, env: { ACCESS_LOG: 'errors' } });
try {
  const many = await writeManyFlags(service, seed, FLAGS);
  const grant = { name: 'same', scopes: ['evaluate'], environments: ['prod'], rate_limit: 0 };
  const { key } = (await service.api('/api/v1/keys', { method: 'POST', json: grant })).body;
  const contexts = manyContexts(seed, Math.ceil(pairs / FLAGS));
  console.log(`${contexts.length} contexts x ${FLAGS} flags, seed ${seed}`);
  const startedMs = performance.now();
  const { compared, differences, reasons, examples } = await compareWays({
    port: service.port,
    key,
    many,
    contexts,
    singles,
    lanes: LANES,
  });
  console.log(`reasons: ${[...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ')}`);
  for (const [way, count] of compared) {
    console.log(`${way.padEnd(20)} ${String(count).padStart(8)} compared, ${differences.get(way) ?? 0} different`);
  }
  for (const example of examples) console.log(example);
  const total = [...compared.values()].reduce((sum, count) => sum + count, 0);
  const different = [...differences.values()].reduce((sum, count) => sum + count, 0);
  console.log(
    `${contexts.length * FLAGS} pairs, ${total} answers by ${compared.size} ways in ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${different} differences`,
  );
  if (different > 0) process.exitCode = 1;
} finally {
  await service.stop();
}
