// Reads a Dockerfile as far as ours goes, and builds it without Docker: each stage on an overlay over this machine's own
// root folder, with the very COPY and RUN instructions of the file. What Docker would add, the base image, is this
// machine; so its Debian and its Node.js are tried, not the image's. And instead of fetching the packages of the lockfile
// once more, which is most of the time that a build takes, `npm ci` takes those that this repository has.

export interface Instruction {
  /** In capitals. */
  readonly name: string;
  /** Continued lines joined, without comments. */
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  readonly instructions: readonly Instruction[];
}

/** The stages in order; the last one, without a name of its own, is called "final". */
export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: { name: string; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [name, rest] = [line.slice(0, line.indexOf(' ')).toUpperCase(), line.slice(line.indexOf(' ') + 1).trim()];
    if (name === 'FROM') stages.push({ name: / AS (\S+)$/i.exec(rest)?.[1] ?? 'final', instructions: [] });
    else stages.at(-1)?.instructions.push({ name, text: rest });
  }
  return stages;
}

/** The words of an instruction in JSON form: ENTRYPOINT ["a", "b"]. Throws when there is none of that name. */
export function wordsOf(stage: Stage, name: string): readonly string[] {
  const found = stage.instructions.findLast((each) => each.name === name);
  if (found === undefined) throw new Error(`the stage ${stage.name} has no ${name}`);
  return JSON.parse(found.text.slice(found.text.indexOf('['))) as string[];
}

/** NAME=value of all ENV instructions. */
export function variablesOf(stage: Stage): Readonly<Record<string, string>> {
  const words = stage.instructions.filter(({ name }) => name === 'ENV').flatMap(({ text }) => text.split(/\s+/));
  return Object.fromEntries(words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));
}

/** The last argument of an instruction of one word (USER, WORKDIR); undefined when the stage has none. */
export function wordOf(stage: Stage, name: string): string | undefined {
  return stage.instructions.findLast((each) => each.name === name)?.text;
}

/** What is copied from the folder that the build is given, as paths below it. */
export function copiedFromContext(stages: readonly Stage[]): readonly string[] {
  return stages
    .flatMap(({ instructions }) => instructions)
    .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from='))
    .flatMap(({ text }) => text.split(/\s+/).slice(0, -1));
}

/**
 * A script for `unshare --mount sh` that builds all stages: `context` is what the builder is given, below `work` each stage
 * gets `<name>/root`, mounted while the script runs; its files stay in `<name>/upper`. It ends with the first step that
 * fails.
 */
export function buildScript(stages: readonly Stage[], context: string, work: string): string {
  const lines = ['set -eu', 'mount --make-rprivate /'];
  for (const stage of stages) lines.push(...mountScript(stage, work), ...stageScript(stage, context, work));
  return lines.join('\n');
}

/** Mounts a stage over this machine's root folder, at `<work>/<name>/root`. */
export function mountScript(stage: Stage, work: string): readonly string[] {
  const at = `${work}/${stage.name}`;
  return [
    `mkdir -p ${at}/upper ${at}/over ${at}/root`,
    `mount -t overlay overlay -o lowerdir=/,upperdir=${at}/upper,workdir=${at}/over ${at}/root`,
    `for folder in dev proc; do mount --rbind /$folder ${at}/root/$folder; done`,
  ];
}

function stageScript(stage: Stage, context: string, work: string): readonly string[] {
  const root = `${work}/${stage.name}/root`;
  let folder = '/';
  const lines: string[] = [];
  for (const { name, text } of stage.instructions) {
    if (name === 'WORKDIR') {
      folder = text;
      lines.push(`mkdir -p ${root}${folder}`);
    } else if (name === 'RUN') {
      const command = text.startsWith('npm ci ') ? `tar -C ${context} --exclude=.cache -c node_modules | tar -x` : text;
      lines.push(`chroot ${root} /bin/sh -euc ${quote(`cd ${folder}; ${command}`)}`);
    } else if (name === 'COPY') {
      lines.push(...copyScript(text, context, work, `${root}${folder}`));
    }
  }
  return lines;
}

// As Docker does it: of a folder its content, into a folder when there are several sources or the target ends with "/".
function copyScript(text: string, context: string, work: string, folder: string): readonly string[] {
  const words = text.split(/\s+/);
  const from = /^--from=(\S+)$/.exec(words[0] as string)?.[1];
  const sources = words.slice(from === undefined ? 0 : 1, -1);
  const base = from === undefined ? context : `${work}/${from}/root`;
  const target = `${folder}/${words.at(-1)}`;
  const into = sources.length > 1 || target.endsWith('/') || words.at(-1) === '.';
  return sources.flatMap((source) => {
    const path = `${base}/${source}`;
    return [
      `if [ -d ${path} ]; then mkdir -p ${target}; cp -a ${path}/. ${target}/`,
      `else mkdir -p ${into ? target : `$(dirname ${target})`}; cp -a ${path} ${target}; fi`,
    ];
  });
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
