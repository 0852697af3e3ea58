// Reads the examples of docs/protocol.md: its blocks `ws` and `hex` are programs, which
// test/integration/protocol-examples.test.ts runs. The page itself says how they are written.

export type Step =
  | { readonly kind: 'connect'; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'refused'; readonly status: number; readonly code: string }
  | { readonly kind: 'http'; readonly method: string; readonly path: string; readonly body: string }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'send'; readonly text: string; readonly times: number }
  | { readonly kind: 'sendBytes'; readonly bytes: Uint8Array }
  /** What comes next, in any order. */
  | { readonly kind: 'receive'; readonly templates: readonly string[] }
  | { readonly kind: 'receiveBytes'; readonly template: readonly (number | 'rr')[] }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string };

export interface Example {
  /** Of the page, where its block begins. */
  readonly line: number;
  readonly heading: string;
  readonly steps: readonly Step[];
}

/** The blocks of the page, in its order. Throws, naming the line, on one that is not written as the page says. */
export function readExamples(page: string): Example[] {
  const examples: Example[] = [];
  let heading = '';
  let block: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
  for (const [i, text] of page.split('\n').entries()) {
    const fence = /^```(\w*)$/.exec(text);
    if (block === undefined && fence !== null) block = { language: fence[1] ?? '', line: i + 1, lines: [] };
    else if (block !== undefined && text === '```') {
      const { language, line, lines } = block;
      if (language === 'ws') examples.push({ line, heading, steps: readMessages(lines, line + 1) });
      if (language === 'hex') examples.push({ line, heading, steps: readFrames(lines, line + 1) });
      block = undefined;
    } else if (block !== undefined) block.lines.push(text);
    else heading = /^#+ (.*)$/.exec(text)?.[1] ?? heading;
  }
  return examples;
}

function readMessages(lines: readonly string[], firstLine: number): Step[] {
  const steps: Step[] = [];
  for (const { text, line } of joinContinued(lines, firstLine)) {
    const header = /^([A-Za-z-]+): (.+)$/.exec(text);
    const last = steps.at(-1);
    if (text === 'GET /api/v1/ws') steps.push({ kind: 'connect', headers: {} });
    else if (header !== null && last?.kind === 'connect')
      steps[steps.length - 1] = { kind: 'connect', headers: { ...last.headers, [header[1]!]: header[2]! } };
    else if (text.startsWith('$ ')) steps.push(readCommand(text.slice(2), line));
    else if (text.startsWith('> ')) steps.push(readSent(text.slice(2)));
    else if (text.startsWith('< ')) addReceived(steps, text.slice(2));
    else throw new Error(`line ${line} of the page is no line of an example: ${text}`);
  }
  return steps;
}

/** Without comments and empty lines; a line that begins with a space goes on from the one before. */
function joinContinued(lines: readonly string[], firstLine: number): { text: string; line: number }[] {
  const joined: { text: string; line: number }[] = [];
  for (const [i, whole] of lines.entries()) {
    const text = whole.replace(/(^|\s{2,})\/\/ .*$/, '').trimEnd();
    const last = joined.at(-1);
    if (text === '') continue;
    if (text.startsWith(' ') && last !== undefined) last.text += ` ${text.trim()}`;
    else joined.push({ text, line: firstLine + i });
  }
  return joined;
}

function readCommand(text: string, line: number): Step {
  const signal = /^kill -(TERM|INT) /.exec(text);
  if (signal !== null) return { kind: 'signal', signal: `SIG${signal[1]}` as NodeJS.Signals };
  const call = /^(POST|PUT|PATCH|DELETE) (\S+)(?: (\{.*\}))?$/.exec(text);
  if (call === null) throw new Error(`line ${line} of the page is no command: ${text}`);
  return { kind: 'http', method: call[1]!, path: call[2]!, body: call[3] ?? '' };
}

function readSent(text: string): Step {
  const { once, times } = readTimes(text);
  return { kind: 'send', text: once, times };
}

function addReceived(steps: Step[], text: string): void {
  const closed = /^close (\d{4}) "(.*)"$/.exec(text);
  const refused = /^HTTP (\d{3}) ([A-Z_]+)$/.exec(text);
  const last = steps.at(-1);
  if (closed !== null) steps.push({ kind: 'closed', code: Number(closed[1]), reason: closed[2]! });
  else if (refused !== null) steps.push({ kind: 'refused', status: Number(refused[1]), code: refused[2]! });
  else {
    const { once, times } = readTimes(text);
    const templates = Array.from({ length: times }, () => once);
    if (last?.kind === 'receive')
      steps[steps.length - 1] = { kind: 'receive', templates: [...last.templates, ...templates] };
    else steps.push({ kind: 'receive', templates });
  }
}

function readTimes(text: string): { readonly once: string; readonly times: number } {
  const match = /^(.*\S)\s+× (\d+)$/.exec(text);
  return match === null ? { once: text, times: 1 } : { once: match[1]!, times: Number(match[2]) };
}

/** Lines of bytes: those of one direction that follow each other are one frame; an empty line ends it too. */
function readFrames(lines: readonly string[], firstLine: number): Step[] {
  const steps: Step[] = [];
  let open = '';
  for (const [i, whole] of lines.entries()) {
    const text = whole.replace(/;.*$/, '').trim();
    const match = /^([<>]) ((?:(?:[0-9a-f]{2}|rr)\s*)+)$/.exec(text);
    if (whole.trim() !== '' && match === null)
      throw new Error(`line ${firstLine + i} of the page is no line of bytes: ${whole}`);
    const direction = match?.[1] ?? '';
    const bytes = (match?.[2] ?? '').split(/\s+/).filter((byte) => byte !== '');
    if (match !== null && direction === '>') {
      const last = steps.at(-1);
      const before = open === '>' && last?.kind === 'sendBytes' ? last.bytes : new Uint8Array(0);
      if (before.length > 0) steps.pop();
      steps.push({ kind: 'sendBytes', bytes: Buffer.concat([before, Buffer.from(bytes.join(''), 'hex')]) });
    }
    if (match !== null && direction === '<') {
      const last = steps.at(-1);
      const before = open === '<' && last?.kind === 'receiveBytes' ? last.template : [];
      if (before.length > 0) steps.pop();
      const template = bytes.map((byte) => (byte === 'rr' ? byte : Number.parseInt(byte, 16)));
      steps.push({ kind: 'receiveBytes', template: [...before, ...template] });
    }
    open = direction;
  }
  return steps;
}

/** Names of numbers that differ from run to run, with what they were in this one. */
export type Bound = Map<string, number>;

/**
 * Whether `text` is what the template says, byte for byte but for spaces between its tokens. A word in capitals stands
 * for a number: NUMBER for any, another name for the same one wherever it is written, and NAME+1 for the one above.
 */
export function matchesTemplate(template: string, text: string, bound: Bound): boolean {
  const names: string[] = [];
  let pattern = '';
  for (const [token] of template.matchAll(/"(?:[^"\\]|\\.)*"|[A-Z][A-Z_]*(?:\+\d+)?|\s+|[\s\S]/g)) {
    if (/^[A-Z]/.test(token)) {
      names.push(token);
      pattern += '([0-9]+(?:\\.[0-9]+)?)';
    } else if (!/^\s+$/.test(token)) pattern += token.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  }
  const match = new RegExp(`^${pattern}$`).exec(text);
  if (match === null) return false;
  const found = new Map(bound);
  for (const [i, whole] of names.entries()) {
    const [name = '', more = '0'] = whole.split('+');
    const value = Number(match[i + 1]) - Number(more);
    if (name === 'NUMBER') continue;
    if ((found.get(name) ?? value) !== value) return false;
    found.set(name, value);
  }
  for (const [name, value] of found) bound.set(name, value);
  return true;
}

/** Likewise for bytes: eight `rr` are a revision as u64, the one that is bound to R. */
export function matchesBytes(template: readonly (number | 'rr')[], bytes: Uint8Array, bound: Bound): boolean {
  if (bytes.length !== template.length) return false;
  const first = template.indexOf('rr');
  for (const [i, byte] of template.entries()) if (byte !== 'rr' && byte !== bytes[i]) return false;
  if (first === -1) return true;
  const revision = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(first, true));
  if ((bound.get('R') ?? revision) !== revision) return false;
  bound.set('R', revision);
  return true;
}
