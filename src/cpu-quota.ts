// How many CPUs the container may use: what a scheduler grants is often far below the cores the machine shows, and one
// worker a core would then only take turns being throttled.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** CPUs that the control group allows, Infinity when it does not say. `root` is where /proc and /sys are found. */
export function cpuQuota(root: string): number {
  let quota = readQuota(
    join(root, 'sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    join(root, 'sys/fs/cgroup/cpu/cpu.cfs_period_us'),
  );
  // Version 2: the lowest of our own group's and those it lies in. Inside a container the path is "/".
  const own = /^0::(\/.*)$/m.exec(read(join(root, 'proc/self/cgroup')) ?? '')?.[1] ?? '/';
  const names = own.split('/').filter((part) => part !== '' && part !== '..');
  for (let depth = names.length; depth >= 0; depth--) {
    const text = read(join(root, 'sys/fs/cgroup', ...names.slice(0, depth), 'cpu.max'));
    const [runtimeUs, periodUs] = (text ?? 'max').trim().split(' ').map(Number);
    if (runtimeUs !== undefined && periodUs !== undefined && runtimeUs > 0 && periodUs > 0)
      quota = Math.min(quota, runtimeUs / periodUs);
  }
  return quota;
}

/** Version 1 keeps the two numbers in a file each; a quota of -1 is none. */
function readQuota(quotaPath: string, periodPath: string): number {
  const runtimeUs = Number(read(quotaPath) ?? -1);
  const periodUs = Number(read(periodPath) ?? -1);
  return runtimeUs > 0 && periodUs > 0 ? runtimeUs / periodUs : Number.POSITIVE_INFINITY;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
