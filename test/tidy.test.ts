// The shape of the house, held by a test: which folder may import which, who may read the environment, and how long a
// file or a function may grow before someone asks whether it is still one idea. Each message names the file and line.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import ts from 'typescript';
import { type House, houses } from './support/houses.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

// The server library is known in one place; everybody else speaks to the transport's interface.
const TRANSPORT = 'src/worker/transport/';
const TRANSPORT_PACKAGES = ['uWebSockets.js', 'ws'];

// main picks a role before any configuration is read.
const ENVIRONMENT_READERS = ['src/config.ts', 'src/main.ts'];

// These run for every request; the marker tells a reader which rules hold inside.
const HOT_FILES = [
  'src/core/affixes.ts',
  'src/core/attribute.ts',
  'src/core/bucketing.ts',
  'src/core/case-folding.ts',
  'src/core/condition-steps.ts',
  'src/core/date-time.ts',
  'src/core/evaluate.ts',
  'src/core/holds.ts',
  'src/core/layered-ids.ts',
  'src/core/network.ts',
  'src/core/packed-ids.ts',
  'src/core/semver.ts',
  'src/core/text-table.ts',
  'src/kernel/js-kernel.ts',
  'src/kernel/js-row.ts',
  'src/kernel/murmur3.ts',
  'src/kernel/utf8.ts',
  'src/kernel/wasm-kernel.ts',
  'src/worker/auth.ts',
  'src/worker/http/prepared-head.ts',
  'src/worker/batch/binary-job.ts',
  'src/worker/batch/evaluator-cells.ts',
  'src/worker/batch/json-job.ts',
  'src/worker/batch/kernel-users.ts',
  'src/worker/batch/panel.ts',
  'src/worker/batch/plan.ts',
  'src/worker/batch/plans.ts',
  'src/worker/batch/reply-buffer.ts',
  'src/worker/batch/slice.ts',
  'src/worker/batch/turns.ts',
  'src/worker/http/json-scan.ts',
  'src/worker/http/query-scan.ts',
  'src/worker/http/request-id.ts',
  'src/worker/http/short-post.ts',
  'src/worker/http/user-id.ts',
  'src/worker/limiter.ts',
  'src/worker/routes/allowance.ts',
  'src/worker/routes/evaluate.ts',
  'src/worker/routes/ofrep-bulk.ts',
  'src/worker/routes/ofrep-reply.ts',
  'src/worker/routes/ofrep-tag.ts',
  'src/worker/routes/outcome-reply.ts',
  'src/worker/routes/short-batch.ts',
  'src/worker/socket/asked-environment.ts',
  'src/worker/socket/binary-frames.ts',
  'src/worker/socket/dispatch.ts',
  'src/worker/socket/evaluate.ts',
  'src/worker/socket/live-connection.ts',
  'src/worker/socket/read-message.ts',
  'src/worker/socket/required-scope.ts',
  'src/worker/tallies.ts',
  'src/worker/transport/uws-socket.ts',
];
const HOT_MARKER = '// Hot path.';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

interface Import {
  readonly specifier: string;
  readonly at: string;
}

const sources = sourcesBelow('src');
const others = ['bench', 'chaos', 'load_tests', 'scripts', 'test'].flatMap(sourcesBelow);

test('imports point inwards, and only to what the folder is allowed', (t) => {
  const wrong: string[] = [];
  for (const source of sources) {
    const house = houses[houseOf(source.fileName)];
    if (house === undefined) {
      wrong.push(`${source.fileName}:1 is in a folder that test/tidy.test.ts does not know; add it with its arrows`);
      continue;
    }
    for (const found of importsOf(source)) wrong.push(...judge(source.fileName, house, found));
  }
  t.same(wrong, []);
  t.end();
});

test('storage never imports worker or primary, worker never storage or primary, primary never worker', (t) => {
  // The table above says so too; this guards the table itself.
  t.notOk(houses['storage']?.rooms.some((room) => room === 'worker' || room === 'primary'));
  t.notOk(houses['worker']?.rooms.some((room) => room === 'storage' || room === 'primary'));
  t.notOk(houses['primary']?.rooms.includes('worker'));
  t.notOk(houses['core']?.node);
  t.end();
});

test('only the configuration reads the environment of the process', (t) => {
  const wrong: string[] = [];
  for (const source of sources) {
    if (ENVIRONMENT_READERS.includes(source.fileName)) continue;
    // The wiring of a process hands the environment on whole, to the configuration and to the processes it starts.
    const isWiring = source.fileName.endsWith('/main.ts');
    visit(source, (node) => {
      if (!ts.isPropertyAccessExpression(node) || node.getText(source) !== 'process.env') return;
      const { parent } = node;
      const takesField = ts.isPropertyAccessExpression(parent) || ts.isElementAccessExpression(parent);
      if (isWiring && !takesField) return;
      wrong.push(`${place(source, node)} reads process.env; take a field of src/config.ts instead`);
    });
  }
  t.same(wrong, []);
  t.end();
});

test('the core knows no clock, no randomness and no promise', (t) => {
  const wrong: string[] = [];
  for (const source of sources.filter((each) => each.fileName.startsWith('src/core/'))) {
    visit(source, (node) => {
      const text = ts.isPropertyAccessExpression(node) ? node.getText(source) : '';
      if (text === 'Date.now' || text === 'Math.random' || text === 'performance.now') {
        wrong.push(`${place(source, node)} uses ${text}; the core is a function of its arguments`);
      }
      if (node.kind === ts.SyntaxKind.AsyncKeyword) wrong.push(`${place(source, node)} is async; the core is not`);
    });
  }
  t.same(wrong, []);
  t.end();
});

test(`no file is longer than ${FILE_LINES_MAX} lines`, (t) => {
  const wrong = [...sources, ...others]
    .map((source) => ({ fileName: source.fileName, lines: source.getLineStarts().length - 1 }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ fileName, lines }) => `${fileName}:1 has ${lines} lines; is it still one idea?`);
  t.same(wrong, []);
  t.end();
});

test(`no function is longer than ${FUNCTION_LINES_MAX} lines of its own`, (t) => {
  const wrong: string[] = [];
  // A test may hold a long table of cases; its file's length is bounded above.
  for (const source of [...sources, ...others.filter((each) => !each.fileName.startsWith('test/'))]) {
    visit(source, (node) => {
      if (!ts.isFunctionLike(node)) return;
      const lines = ownLines(source, node);
      if (lines > FUNCTION_LINES_MAX)
        wrong.push(`${place(source, node)} is a function of ${lines} lines; is it still one idea?`);
    });
  }
  t.same(wrong, []);
  t.end();
});

test('what runs for every request says so in its first line', (t) => {
  const wrong = HOT_FILES.filter((name) => {
    const source = sources.find((each) => each.fileName === name);
    return source === undefined || !source.text.startsWith(HOT_MARKER);
  });
  t.same(wrong, [], `each begins with "${HOT_MARKER}"`);
  t.end();
});

test('a hot path spreads nothing, matches no regular expression and writes no log', (t) => {
  const wrong: string[] = [];
  for (const source of sources.filter((each) => each.text.startsWith(HOT_MARKER))) {
    const look = (node: ts.Node): void => {
      // What such a file does once in a while, and not for a request, says so: `// Cold: once a publish.`
      if (/\bCold: /.test(leadingComment(source, node))) return;
      const found = hotPathSin(node, source);
      if (found !== undefined) wrong.push(`${place(source, node)} ${found}`);
      ts.forEachChild(node, look);
    };
    ts.forEachChild(source, look);
  }
  t.same(wrong, []);
  t.end();
});

test('file names are kebab-case, and no file only re-exports', (t) => {
  const wrong = [...sources, ...others]
    .map((source) => source.fileName)
    .filter(
      (name) => !/^[a-z0-9]+(?:[-.][a-z0-9]+)*$/.test(posix.basename(name)) || posix.basename(name) === 'index.ts',
    )
    .map((name) => `${name}:1 should have a kebab-case name that tells what it exports`);
  t.same(wrong, []);
  t.end();
});

test('every file of src that a document names is there', (t) => {
  const wrong: string[] = [];
  for (const name of documents()) {
    for (const [index, line] of readFileSync(join(root, name), 'utf8').split('\n').entries()) {
      for (const [path] of line.matchAll(/\bsrc\/[\w./-]*\w/g)) {
        if (!existsSync(join(root, path))) wrong.push(`${name}:${index + 1} names ${path}, which is not there`);
      }
    }
  }
  t.same(wrong, []);
  t.end();
});

function judge(fileName: string, house: House, { specifier, at }: Import): readonly string[] {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(fileName), specifier);
    if (!target.startsWith('src/')) return [`${at} imports ${specifier}, which is not in src and so not in dist`];
    if (!specifier.endsWith('.ts')) return [`${at} imports ${specifier} without its .ts extension`];
    const from = houseOf(fileName);
    const to = houseOf(target);
    const isAllowed =
      from === to || house.rooms.includes(to) || house.rooms.includes(target.slice('src/'.length, -'.ts'.length));
    return isAllowed ? [] : [`${at} imports ${specifier}: ${from} may not know ${to}`];
  }
  if (specifier.startsWith('node:')) {
    return house.node ? [] : [`${at} imports ${specifier}: ${houseOf(fileName)} is pure`];
  }
  if (builtinModules.includes(specifier)) return [`${at} imports ${specifier} without node:`];
  const name = packageOf(specifier);
  if (TRANSPORT_PACKAGES.includes(name)) {
    return fileName.startsWith(TRANSPORT)
      ? []
      : [`${at} imports ${name}: only ${TRANSPORT} may know the server library`];
  }
  return house.packages.includes(name) ? [] : [`${at} imports ${name}, which is not among its folder's packages`];
}

function hotPathSin(node: ts.Node, source: ts.SourceFile): string | undefined {
  if (ts.isSpreadElement(node) || ts.isSpreadAssignment(node)) return 'spreads; a hot path copies with a plain loop';
  if (node.kind === ts.SyntaxKind.RegularExpressionLiteral) return 'uses a regular expression; a hot path scans';
  if (ts.isCallExpression(node) && /^(?:console|log|logger)\./.test(node.expression.getText(source))) {
    return 'writes a log line; a hot path counts';
  }
  return undefined;
}

/** `import`, `export from`, `import()` and `import('x').Type`, types included: a type is knowledge too. */
function importsOf(source: ts.SourceFile): readonly Import[] {
  const found: Import[] = [];
  visit(source, (node) => {
    let specifier: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) specifier = node.moduleSpecifier;
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      specifier = node.arguments[0];
    else if (ts.isCallExpression(node) && node.expression.getText(source) === 'require') specifier = node.arguments[0];
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) specifier = node.argument.literal;
    if (specifier !== undefined && ts.isStringLiteral(specifier)) {
      found.push({ specifier: specifier.text, at: place(source, node) });
    }
  });
  return found;
}

/** src/worker/routes/evaluate.ts -> worker; src/config.ts -> config. */
function houseOf(path: string): string {
  return (path.split('/')[1] ?? '').replace(/\.ts$/, '');
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
}

function documents(): readonly string[] {
  const inDocs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`);
  return [...readdirSync(root), ...inDocs].filter((name) => name.endsWith('.md'));
}

function sourcesBelow(folder: string): readonly ts.SourceFile[] {
  let names: readonly string[];
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return names
    .filter((name) => /\.(?:ts|mjs|js)$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(root, folder, name))
    .map((path) => {
      const fileName = relative(root, path).split(/[\\/]/).join('/');
      return ts.createSourceFile(fileName, readFileSync(path, 'utf8'), ts.ScriptTarget.ESNext, true);
    });
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

/** A factory that holds state in a closure is a class in all but name: the functions inside are counted by themselves. */
function ownLines(source: ts.SourceFile, node: ts.Node): number {
  let lines = lineOf(source, node.getEnd()) - lineOf(source, node.getStart(source)) + 1;
  const subtractInner = (child: ts.Node): void => {
    if (ts.isFunctionLike(child)) lines -= lineOf(source, child.getEnd()) - lineOf(source, child.getStart(source));
    else ts.forEachChild(child, subtractInner);
  };
  ts.forEachChild(node, subtractInner);
  return lines;
}

/** The comment right above a function; empty for all else. */
function leadingComment(source: ts.SourceFile, node: ts.Node): string {
  return ts.isFunctionLike(node) ? source.text.slice(node.getFullStart(), node.getStart(source)) : '';
}

function lineOf(source: ts.SourceFile, position: number): number {
  return source.getLineAndCharacterOfPosition(position).line + 1;
}

function place(source: ts.SourceFile, node: ts.Node): string {
  return `${source.fileName}:${lineOf(source, node.getStart(source))}`;
}
