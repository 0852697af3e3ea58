// docs/protocol.md tells the truth: each of its examples is run, in order, against the service as a user runs it, and
// every message, byte and close code is compared.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import ts from 'typescript';
import WebSocket from 'ws';
import { CLOSE } from '../../src/worker/socket/connection.ts';
import {
  type Bound,
  type Example,
  matchesBytes,
  matchesTemplate,
  readExamples,
  type Step,
} from '../support/protocol-page.ts';
import { type Service, startService } from '../support/service.ts';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const examples = readExamples(page);
const WAIT_MS_MAX = 15_000;
/** An id that no example uses: what answers it tells that nothing came before. */
const QUIET_ID = 4_294_967_295;

/** Made anew for each example that connects with one: what it had is used up. A key takes a revision, as a flag does. */
const FRESH_KEYS = {
  LIMITED_KEY: { scopes: ['evaluate'], rate_limit: 2 },
  REVOKED_KEY: { scopes: ['evaluate'] },
};

test('the examples of docs/protocol.md, run in order', { timeout: 120_000 }, async (t) => {
  const bench = await startBench();
  t.teardown(() => bench.close());
  for (const example of examples) {
    const place = `${example.heading} (line ${example.line})`;
    let found = await failure(bench, example);
    // A rate limit is counted by the minute, and one may begin meanwhile; a busy machine may miss the 50 ms for a lease.
    for (let i = 0; i < 3 && found !== undefined && isLimited(example); i += 1) found = await failure(bench, example);
    if (found === undefined) t.pass(place);
    else t.fail(place, { found, expected: 'as the page says' });
  }
  t.ok(
    examples.slice(0, -1).every(({ steps }) => steps.every(({ kind }) => kind !== 'signal')),
    'only the last one stops the service',
  );
  t.ok(examples.length > 20, `${examples.length} examples`);
});

test('docs/protocol.md shows every message and every close code', (t) => {
  const sent = new Set<string>();
  const received = new Set<string>();
  const closed = new Set<number>();
  for (const step of examples.flatMap(({ steps }) => steps)) {
    if (step.kind === 'send') sent.add(typeOf(step.text));
    if (step.kind === 'receive') for (const template of step.templates) received.add(typeOf(template));
    if (step.kind === 'closed') closed.add(step.code);
  }
  const known = typesOfMessages();
  for (const type of known) {
    t.ok(sent.has(type), `an example sends ${type}`);
    t.match(page, `| \`${type}\` |`, `the table has ${type}`);
  }
  const answers = 'change error goodbye pong prepared result results revision stats welcome'.split(' ');
  t.strictSame([...received].sort(), answers, 'each message of the server is received in an example');
  for (const code of Object.values(CLOSE)) t.match(page, new RegExp(`^\\| ${code} \\|`, 'm'), `the table has ${code}`);
  for (const code of closed) t.ok(Object.values<number>(CLOSE).includes(code), `${code} is a code of the source`);
  t.end();
});

test('the page is read as it says that it is written', (t) => {
  const bound: Bound = new Map();
  t.ok(matchesTemplate('{"revision": R, "a": "b  c"}', '{"revision":7,"a":"b  c"}', bound));
  t.ok(matchesTemplate('{"revision":R+1}', '{"revision":8}', bound));
  t.notOk(matchesTemplate('{"revision":R+1}', '{"revision":9}', bound), 'a name stands for one number');
  t.notOk(matchesTemplate('{"a":"b c"}', '{"a":"b  c"}', bound), 'spaces in a text count');
  t.notOk(matchesTemplate('{"a":1}', '{"a":1,"b":2}', bound), 'a member more is a difference');
  t.ok(matchesTemplate('{"a":NUMBER,"b":NUMBER}', '{"a":1.5,"b":2}', bound));
  t.notOk(matchesTemplate('{"a":NUMBER}', '{"a":"1"}', bound));
  t.ok(matchesBytes([1, ...Array<'rr'>(8).fill('rr')], Uint8Array.of(1, 7, 0, 0, 0, 0, 0, 0, 0), bound));
  t.notOk(matchesBytes([1, ...Array<'rr'>(8).fill('rr')], Uint8Array.of(1, 8, 0, 0, 0, 0, 0, 0, 0), bound));
  t.throws(() => readExamples('```ws\nhello\n```'), /line 2/);
  t.throws(() => readExamples('```hex\n> 1g\n```'), /line 2/);
  t.end();
});

/** `type` of each message of the closed union that a client may send, as the source has it. */
function typesOfMessages(): string[] {
  const url = new URL('../../src/worker/socket/messages.ts', import.meta.url);
  const source = ts.createSourceFile('messages.ts', readFileSync(url, 'utf8'), ts.ScriptTarget.ESNext, true);
  const types: string[] = [];
  const see = (node: ts.Node): void => {
    if (ts.isPropertySignature(node) && node.name.getText(source) === 'type' && node.type !== undefined) {
      if (ts.isLiteralTypeNode(node.type) && ts.isStringLiteral(node.type.literal)) types.push(node.type.literal.text);
    }
    ts.forEachChild(node, see);
  };
  see(source);
  assert.ok(types.length > 0);
  return types;
}

function typeOf(text: string): string {
  return /"type":\s*"(\w+)"/.exec(text)?.[1] ?? '';
}

/** A service with the keys that the page names, and the connection that the last example left. */
interface Bench {
  readonly service: Service;
  readonly names: Map<string, string>;
  client: Client | undefined;
  close(): Promise<void>;
}

async function startBench(): Promise<Bench> {
  // One worker: the page tells what one connection sees, and figures of the worker that it is on.
  const service = await startService({ workers: 1, env: { ALLOWED_ORIGINS: 'https://shop.example' } });
  const bench: Bench = {
    service,
    names: new Map(),
    client: undefined,
    async close() {
      bench.client?.socket.terminate();
      await service.stop();
    },
  };
  await makeKey(bench, 'KEY', { scopes: ['evaluate'] });
  await makeKey(bench, 'READ_KEY', { scopes: ['read'] });
  await makeKey(bench, 'TWO_KEY', { scopes: ['evaluate'], environments: ['dev', 'prod'] });
  return bench;
}

async function makeKey(bench: Bench, name: string, settings: object): Promise<void> {
  const json = { name, rate_limit: 0, environments: ['prod'], ...settings };
  const made = await bench.service.api('/api/v1/keys', { method: 'POST', json });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  bench.names.set(`$${name}`, made.body.key).set(`$${name}_ID`, made.body.key_id);
}

/** Whether it connects with a key that has a rate limit. */
function isLimited({ steps }: Example): boolean {
  return steps.some((step) => step.kind === 'connect' && step.headers['X-API-Key'] === '$LIMITED_KEY');
}

/** Runs an example: what came instead of what it says, or undefined. */
async function failure(bench: Bench, example: Example): Promise<string | undefined> {
  try {
    for (const [name, settings] of Object.entries(FRESH_KEYS)) {
      if (example.steps.some((step) => step.kind === 'connect' && step.headers['X-API-Key'] === `$${name}`))
        await makeKey(bench, name, settings);
    }
    for (const [i, step] of example.steps.entries()) await take(bench, step, example.steps[i + 1]);
    await bench.client?.quiet();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function take(bench: Bench, step: Step, next: Step | undefined): Promise<void> {
  const { service, names } = bench;
  if (step.kind === 'connect') {
    bench.client?.socket.terminate();
    const headers = mapValues(step.headers, (value) => named(names, value));
    bench.client = await connect(service, headers);
    const greeted = next?.kind !== 'receive' && next?.kind !== 'refused' && next?.kind !== 'closed';
    if (greeted && headers['X-API-Key'] !== undefined) bench.client.greeting(await bench.client.next());
    return;
  }
  if (step.kind === 'http') {
    const body = step.body === '' ? {} : { json: JSON.parse(named(names, step.body)) };
    const reply = await service.api(named(names, step.path), { method: step.method, ...body });
    assert.ok(reply.status < 300, `${step.method} ${step.path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return;
  }
  if (step.kind === 'signal') return void service.launcher.kill(step.signal);
  const { client } = bench;
  assert.ok(client !== undefined, 'the page opens no connection before');
  switch (step.kind) {
    case 'send':
      for (let i = 0; i < step.times; i += 1) client.socket.send(named(names, step.text));
      break;
    case 'sendBytes':
      client.socket.send(step.bytes);
      break;
    case 'receive':
      await client.receive(step.templates);
      break;
    case 'receiveBytes': {
      const message = await client.next();
      assert.ok(
        message instanceof Uint8Array && matchesBytes(step.template, message, client.bound),
        `${show(message)} came instead of ${step.template.join(' ')}`,
      );
      break;
    }
    case 'closed':
    case 'refused':
      assert.equal(show(await client.next()), show(step));
  }
}

/** A message, or how the connection ended. */
type Arrival = string | Uint8Array | Extract<Step, { kind: 'closed' | 'refused' }>;

interface Client {
  readonly socket: WebSocket;
  readonly bound: Bound;
  next(): Promise<Arrival>;
  /** Takes as many messages as there are templates, in any order. */
  receive(templates: readonly string[]): Promise<void>;
  greeting(arrival: Arrival): void;
  /** Fails when something came that the example does not show. */
  quiet(): Promise<void>;
}

async function connect(service: Service, headers: Record<string, string>): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${service.port}/api/v1/ws`, { headers });
  const arrived: Arrival[] = [];
  let greeted = false;
  let ended = false;
  let wake = (): void => {};
  const arrive = (arrival: Arrival): void => {
    arrived.push(arrival);
    wake();
  };
  socket.on('message', (message: Buffer, isBinary) => arrive(isBinary ? message : message.toString()));
  socket.on('close', (code, reason) => {
    // Refused, and cut here.
    if (ended) return;
    ended = true;
    arrive({ kind: 'closed', code, reason: reason.toString() });
  });
  socket.on('error', () => {});
  socket.on('unexpected-response', (_request, response) => {
    ended = true;
    let body = '';
    response.on('data', (chunk) => (body += chunk));
    response.on('end', () => {
      arrive({ kind: 'refused', status: response.statusCode ?? 0, code: JSON.parse(body).code });
      socket.terminate();
    });
  });
  await Promise.race([once(socket, 'open'), once(socket, 'unexpected-response')]);

  const client: Client = {
    socket,
    bound: new Map(),
    async next() {
      if (arrived.length === 0) {
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error('nothing came')), WAIT_MS_MAX);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return arrived.shift()!;
    },
    async receive(templates) {
      const open = [...templates];
      while (open.length > 0) {
        const message = await client.next();
        const found = open.findIndex(
          (template) => typeof message === 'string' && matchesTemplate(template, message, client.bound),
        );
        assert.notEqual(found, -1, `${show(message)} came instead of ${open.join(' or ')}`);
        if (typeOf(open[found]!) === 'welcome') greeted = true;
        open.splice(found, 1);
      }
    },
    greeting(arrival) {
      assert.ok(typeof arrival === 'string' && typeOf(arrival) === 'welcome', `${show(arrival)} came first`);
      client.bound.set('R', JSON.parse(arrival).revision);
      greeted = true;
    },
    async quiet() {
      if (ended) assert.equal(arrived.length, 0, `${show(arrived[0] ?? '')} came as well`);
      if (ended || !greeted) return;
      socket.send(JSON.stringify({ type: 'ping', id: QUIET_ID }));
      const message = await client.next();
      // A key that has used up its minute gets an error with the id instead.
      assert.ok(typeof message === 'string' && message.includes(`"id":${QUIET_ID}`), `${show(message)} came as well`);
    },
  };
  return client;
}

function show(arrival: Arrival): string {
  if (typeof arrival === 'string') return arrival;
  if (arrival instanceof Uint8Array)
    return Buffer.from(arrival)
      .toString('hex')
      .replace(/..(?=.)/g, '$& ');
  return arrival.kind === 'closed'
    ? `close ${arrival.code} "${arrival.reason}"`
    : `HTTP ${arrival.status} ${arrival.code}`;
}

function named(names: ReadonlyMap<string, string>, text: string): string {
  return text.replace(/\$[A-Z][A-Z_]*/g, (name) => names.get(name) ?? name);
}

function mapValues<V>(record: Readonly<Record<string, V>>, map: (value: V) => V): Record<string, V> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
