// How many CPUs the container may use: what a scheduler grants is often far below the cores the machine shows, and one
// worker a core would then only take turns being throttled.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** CPUs that the control groups allow, Infinity when they do not say. `root` is where /proc and /sys are found. */
export function cpuQuota(root: string): number {
  const groups = ownGroups(read(join(root, 'proc/self/cgroup')) ?? '');
  const quotas = groups.flatMap(({ mounts, path, quotaIn }) =>
    mounts.flatMap((mount) => upwards(path).map((names) => quotaIn(join(root, 'sys/fs/cgroup', mount, ...names)))),
  );
  return Math.min(Number.POSITIVE_INFINITY, ...quotas);
}

interface Group {
  /** Below /sys/fs/cgroup, where its tree may be found. */
  readonly mounts: readonly string[];
  readonly path: string;
  readonly quotaIn: (folder: string) => number;
}

/** Lines of `number:controllers:path`. A machine may have version 1, version 2, or both, and CPUs in either. */
function ownGroups(text: string): readonly Group[] {
  const lines = text.split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return controllers === undefined || path === undefined ? [] : [{ controllers, path }];
  });
  const first = lines.find(({ controllers }) => controllers.split(',').includes('cpu'));
  const second = lines.find(({ controllers }) => controllers === '');
  return [
    // Without a line of our own the trees' roots are still worth a look.
    { mounts: ['cpu', 'cpu,cpuacct', 'cpuacct,cpu'], path: first?.path ?? '/', quotaIn: quotaOfVersion1 },
    { mounts: ['', 'unified'], path: second?.path ?? '/', quotaIn: quotaOfVersion2 },
  ];
}

/**
 * A group's folder and those it lies in, as names: each may lower the quota. In a container the path may be the host's,
 * of which only the root is seen here.
 */
function upwards(path: string): readonly (readonly string[])[] {
  const names = path.split('/').filter((part) => part !== '' && part !== '..');
  return Array.from({ length: names.length + 1 }, (_, depth) => names.slice(0, depth));
}

/** One file with both numbers; `max` is none. */
function quotaOfVersion2(folder: string): number {
  const [runtimeUs, periodUs] = (read(join(folder, 'cpu.max')) ?? '').trim().split(' ');
  return quotaOf(runtimeUs, periodUs);
}

/** A file each; -1 is none. */
function quotaOfVersion1(folder: string): number {
  return quotaOf(read(join(folder, 'cpu.cfs_quota_us')), read(join(folder, 'cpu.cfs_period_us')));
}

function quotaOf(runtimeText: string | undefined, periodText: string | undefined): number {
  const runtimeUs = Number(runtimeText);
  const periodUs = Number(periodText);
  return runtimeUs > 0 && periodUs > 0 ? runtimeUs / periodUs : Number.POSITIVE_INFINITY;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
