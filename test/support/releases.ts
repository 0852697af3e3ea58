// Builds side by side as a deployment lays them out: folders of releases, and a link `current` to the one that is to run.
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Releases {
  /** The main script behind the link; for startService. */
  readonly main: string;
  /** That of one release. */
  mainOf(name: string): string;
  /**
   * Copies dist as a release whose build is called `name`, with the migrations of the project and, after them, those of
   * `more`: file name -> SQL.
   */
  make(name: string, more?: Readonly<Record<string, string>>): void;
  /** Replaces `from` in a file of that release's dist, with its path below dist; throws when it is not there. */
  edit(name: string, path: string, from: string, to: string): void;
  /** Moves the link, in one step. */
  use(name: string): void;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function createReleases(folder: string): Releases {
  const release = (name: string): string => join(folder, 'releases', name);
  return {
    main: join(folder, 'current', 'dist', 'main.js'),
    mainOf: (name) => join(release(name), 'dist', 'main.js'),
    make(name, more) {
      mkdirSync(release(name), { recursive: true });
      cpSync(join(ROOT, 'dist'), join(release(name), 'dist'), { recursive: true });
      for (const shared of ['node_modules', 'native', 'package.json'])
        symlinkSync(join(ROOT, shared), join(release(name), shared));
      const migrations = join(release(name), 'migrations');
      if (more === undefined) symlinkSync(join(ROOT, 'migrations'), migrations);
      else cpSync(join(ROOT, 'migrations'), migrations, { recursive: true });
      for (const [file, text] of Object.entries(more ?? {})) writeFileSync(join(migrations, file), text);
      const file = join(release(name), 'dist', 'build.json');
      const info = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify({ ...info, build: name }));
    },
    edit(name, path, from, to) {
      const file = join(release(name), 'dist', path);
      const text = readFileSync(file, 'utf8');
      if (!text.includes(from)) throw new Error(`${file} has no "${from}"`);
      writeFileSync(file, text.replace(from, to));
    },
    use(name) {
      symlinkSync(release(name), join(folder, 'next'));
      renameSync(join(folder, 'next'), join(folder, 'current'));
    },
  };
}
