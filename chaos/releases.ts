// Two builds behind a release link, as a deployment lays them out.
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MAIN } from '../test/support/service.ts';

/** What a build needs beside its dist. */
const BESIDE = ['node_modules', 'native', 'migrations', 'package.json'];

export interface Releases {
  /** Through the link. */
  readonly main: string;
  /** Lets the link point to a build that has not run yet. */
  next(): Promise<void>;
  /** Removes all of it. */
  close(): Promise<void>;
}

export async function makeReleases(): Promise<Releases> {
  const folder = await mkdtemp(join(tmpdir(), 'burgee-releases-'));
  const dist = dirname(MAIN);
  const link = join(folder, 'current');
  let count = 0;

  async function next(): Promise<void> {
    const release = join(folder, `release-${++count}`);
    await mkdir(release);
    await cp(dist, join(release, 'dist'), { recursive: true });
    for (const name of BESIDE) await symlink(join(dirname(dist), name), join(release, name));
    const info = JSON.parse(await readFile(join(dist, 'build.json'), 'utf8')) as { version: string };
    const build = count.toString(16).padStart(12, '0');
    await writeFile(join(release, 'dist/build.json'), JSON.stringify({ version: info.version, build }));
    // By rename: there is no moment without a link.
    await symlink(release, `${link}.next`);
    await rename(`${link}.next`, link);
  }

  await next();
  return {
    main: join(link, 'dist/main.js'),
    next,
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
