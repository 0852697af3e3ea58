// How many CPUs control groups leave to the service, in the trees that machines and containers show.
import { test } from 'tap';
import { cpuQuota } from '../../src/cpu-quota.ts';

const v1 = (quotaUs: number) => ({ 'cpu.cfs_quota_us': `${quotaUs}\n`, 'cpu.cfs_period_us': '100000\n' });
const v2 = (max: string) => ({ 'cpu.max': `${max}\n` });

const trees: readonly (readonly [what: string, cgroup: string | undefined, tree: object, cpus: number])[] = [
  ['nothing at all', undefined, {}, Infinity],
  ['version 2, no quota', '0::/\n', v2('max 100000'), Infinity],
  ['version 2, in a container', '0::/\n', v2('50000 100000'), 0.5],
  ['version 2, another period', '0::/\n', v2('75000 50000'), 1.5],
  [
    'version 2, set by a group around',
    '0::/pods/one\n',
    { pods: { ...v2('150000 100000'), one: v2('max 100000') } },
    1.5,
  ],
  ['version 2, the lowest of several', '0::/a/b\n', { a: { ...v2('400000 100000'), b: v2('200000 100000') } }, 2],
  ['version 2, the path of the host', '0::/kubepods/pod1\n', v2('300000 100000'), 3],
  ['version 2, above the namespace', '0::/../other\n', v2('100000 100000'), 1],
  ['version 2, a file that is garbage', '0::/\n', v2('much'), Infinity],
  ['version 2, a file that is empty', '0::/\n', { 'cpu.max': '' }, Infinity],
  ['version 1, no quota', '1:cpu:/\n', { cpu: v1(-1) }, Infinity],
  ['version 1, in a container', '4:cpu,cpuacct:/docker/abc\n', { 'cpu,cpuacct': v1(250_000) }, 2.5],
  ['version 1, in a group of its own', '1:cpu:/svc\n', { cpu: { ...v1(-1), svc: v1(150_000) } }, 1.5],
  [
    'version 1, set by a group around',
    '4:cpuacct,cpu:/a/b\n',
    { 'cpuacct,cpu': { a: { ...v1(100_000), b: v1(-1) } } },
    1,
  ],
  ['version 1, without /proc', undefined, { cpu: v1(250_000) }, 2.5],
  [
    'cpuset and cpuacct are not cpu',
    '3:cpuset:/a\n2:cpuacct:/a\n',
    { cpuset: { a: v1(1) }, cpuacct: { a: v1(1) } },
    Infinity,
  ],
  ['both, CPUs in version 1', '1:cpu:/svc\n0::/svc\n', { cpu: { svc: v1(150_000) }, unified: { svc: {} } }, 1.5],
  ['both, CPUs in version 2', '1:name=systemd:/\n0::/svc\n', { unified: { svc: v2('120000 100000') } }, 1.2],
];

for (const [what, cgroup, tree, cpus] of trees) {
  test(`${what}: ${cpus}`, (t) => {
    const proc = cgroup === undefined ? {} : { proc: { self: { cgroup } } };
    t.equal(cpuQuota(t.testdir({ ...proc, sys: { fs: { cgroup: tree } } } as never)), cpus);
    t.end();
  });
}
