// A Python with pinned packages, for tests with programs in Python.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The interpreter of an environment with the packages of a requirements file, kept from run to run; or why there is
 * none.
 */
export function preparePython(requirements: string): { readonly python: string } | { readonly missing: string } {
  const version = spawnSync('python3', ['--version'], { encoding: 'utf8' });
  if (version.status !== 0) return { missing: 'there is no python3' };
  const name = createHash('sha256')
    .update(version.stdout)
    .update(readFileSync(requirements))
    .digest('hex')
    .slice(0, 16);
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/burgee-python-${name}`, import.meta.url));
  const python = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'complete'))) return { python };
  rmSync(folder, { recursive: true, force: true });
  const steps: [command: string, ...args: string[]][] = [
    ['python3', '-m', 'venv', folder],
    [
      python,
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-input',
      '--disable-pip-version-check',
      '--requirement',
      requirements,
    ],
    [python, '-c', `open(${JSON.stringify(join(folder, 'complete.new'))}, 'w').close()`],
  ];
  for (const [command, ...args] of steps) {
    const done = spawnSync(command, args, { encoding: 'utf8' });
    if (done.status !== 0) return { missing: `${args.slice(0, 3).join(' ')}: ${(done.stderr || done.stdout).trim()}` };
  }
  renameSync(join(folder, 'complete.new'), join(folder, 'complete'));
  return { python };
}
