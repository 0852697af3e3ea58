import { test } from 'tap';
import { createNodeMetrics } from '../../../src/observe/metrics.ts';

const gauges = {
  revision: 1,
  staleSeconds: 0,
  workers: 1,
  workersOld: 0,
  workerReplacements: 0,
  primaryTerm: 1,
  workerRestarts: 0,
  quarantinedFlags: 0,
  storeUp: 1,
  storeWentBack: 0,
};

test('tells of Redis only where there is one', async (t) => {
  const metrics = createNodeMetrics({ processMetrics: false });
  t.notMatch(await metrics.text(gauges), /^burgee_(redis|hot_copy)_/m);
  const tallies = {
    isUp: true,
    failures: new Map([['timeout', 3]]),
    hotCopyReads: new Map([['refused', 1]]),
    hotCopyWrites: new Map(),
  };
  await metrics.text(gauges, tallies);
  const text = await metrics.text(gauges, tallies);
  t.match(text, /^burgee_redis_up 1$/m);
  t.match(text, /^burgee_redis_commands_failed_total\{reason="timeout"\} 3$/m);
  t.match(text, /^burgee_hot_copy_reads_total\{outcome="refused"\} 1$/m);
});
