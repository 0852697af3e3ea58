// Thousands of mutations of valid messages and of the frames they travel in: each must be answered, or closed with a
// code, and an answer must be what a single evaluation over HTTP says of the message as it was mutated.
//
//   npm run chaos:frames
//   npm run chaos:frames -- --mutations 10000 --seed 7
//   npm run chaos:frames -- --seed 7 --only 4711        one of them again
import { parseArgs } from 'node:util';
import { rememberAnswers, type Single, type TrialDeps } from '../test/support/mutations/judge.ts';
import { MUTATION_FLAGS } from '../test/support/mutations/mutation-flags.ts';
import { runTrial, type TrialResult } from '../test/support/mutations/trial.ts';
import { flagWith, type Service, startService } from '../test/support/service.ts';
import { type Connection, openConnection } from './connection.ts';

const WORKERS = 2;
const AT_ONCE = 8;
const SHOWN_MAX = 20;

const { values: options } = parseArgs({
  options: {
    mutations: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string' },
  },
});
const mutationCount = wholeNumber('mutations', options.mutations);
const seed = wholeNumber('seed', options.seed);

const service = await startService({ workers: WORKERS, env: { ACCESS_LOG: 'errors' } });
const idle: Connection[] = [];
try {
  await main(service);
} finally {
  for (const connection of idle) connection.close();
  await service.stop();
}

async function main(running: Service): Promise<void> {
  for (const flag of MUTATION_FLAGS) await flagWith(running, flag);
  const grant = { name: 'frames', scopes: ['read'], environments: ['prod'], rate_limit: 0 };
  const { key } = (await running.api('/api/v1/keys', { method: 'POST', json: grant })).body;
  const pids = running.workerPids();
  const deps = await depsOf(running, key);
  console.log(`${mutationCount} mutations, seed ${seed}, ${WORKERS} workers`);
  const results: TrialResult[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < mutationCount) {
      const number = next++;
      if (options.only !== undefined && number !== Number(options.only)) continue;
      const result = await runTrial(deps, seed * 1_000_003 + number).catch((error) => broken(error));
      results.push(result);
      if (result.wrong !== undefined) tell(number, result, results);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const after = await running.api(`/api/v1/flags/${deps.flagIds[0]}/evaluate?user_id=user-1`);
  report(results, pids, running.workerPids(), after.status);
}

/** The socket did not even open, or the bench did not understand what came. */
function broken(error: Error): TrialResult {
  return { mutation: 'unknown', outcome: 'WRONG', wrong: error.stack ?? error.message, sent: '' };
}

function tell(number: number, { mutation, wrong, sent }: TrialResult, results: readonly TrialResult[]): void {
  if (results.filter((result) => result.wrong !== undefined).length > SHOWN_MAX) return;
  console.log(`WRONG  number ${number}, ${mutation}: ${wrong}\n       sent ${sent}`);
}

/** Single evaluations over kept connections, each asked once. */
async function depsOf(running: Service, key: string): Promise<TrialDeps> {
  for (let i = 0; i < AT_ONCE; i++) idle.push(await openConnection(running.port, key));
  const ask = async (flagId: string, json: string): Promise<Single> => {
    let connection = idle.pop() as Connection;
    try {
      if (!connection.open) connection = await openConnection(running.port, key);
      const path = `/api/v1/flags/${flagId}/evaluate`;
      const { status, body } = await connection.request('POST', path, { text: json });
      return { status, body };
    } finally {
      idle.push(connection);
    }
  };
  return {
    port: running.port,
    key,
    flagIds: MUTATION_FLAGS.map(({ flag_id: id }) => id).sort(),
    evaluate: rememberAnswers(ask),
  };
}

function report(
  results: readonly TrialResult[],
  before: readonly number[],
  after: readonly number[],
  status: number,
): void {
  const counts = new Map<string, number>();
  for (const { outcome } of results) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  for (const [outcome, count] of [...counts].sort((a, b) => b[1] - a[1])) {
    console.log(`${String(count).padStart(6)}  ${outcome}`);
  }
  const kinds = new Set(results.map(({ mutation }) => mutation)).size;
  const wrongCount = results.filter((result) => result.wrong !== undefined).length;
  const crashes = before.filter((pid) => !after.includes(pid)).length;
  console.log(
    `${results.length} mutations of ${kinds} kinds, seed ${seed}: crashes ${crashes}, wrong or missing answers ${wrongCount}; ` +
      `afterwards an evaluation answers ${status}`,
  );
  if (crashes > 0 || wrongCount > 0 || status !== 200) process.exitCode = 1;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} takes a whole number, not ${text}`);
  return value;
}
