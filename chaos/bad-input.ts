// What the service says to bad input: one line a case, with the status and the code it answers.
//
//   npm run chaos:bad-input
import { connect } from 'node:net';
import { ADMIN_KEY, type Service, startService } from '../test/support/service.ts';

type Keys = Readonly<Record<'app' | 'staging' | 'both' | 'expired', string>>;

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly path?: string;
  readonly json?: unknown;
  readonly body?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const FLAGS = '/api/v1/flags';
const EVALUATE = `${FLAGS}/known/evaluate`;
const create = (name: string, json: unknown): Case => ({ name, method: 'POST', path: FLAGS, json });
const patch = (name: string, json: unknown): Case => ({ name, method: 'PATCH', path: `${FLAGS}/known`, json });
const STRING_FLAG = { flag_id: 's', type: 'string', variants: { a: 'x', b: 'y' }, off_variant: 'a' };

const service = await startService({ workers: 2 });
try {
  const keys = await prepare(service);
  let count = 0;
  for (const each of cases(keys)) {
    count++;
    console.log(`${String(count).padStart(2)}  ${each.name.padEnd(52)} ${await ask(service, each)}`);
  }
  for (const [name, bytes] of rawCases(service.port)) {
    count++;
    console.log(`${String(count).padStart(2)}  ${name.padEnd(52)} ${await raw(service.port, bytes)}`);
  }
  const after = await service.api(`${EVALUATE}?user_id=user-1`);
  console.log(
    `${count} cases; afterwards an evaluation answers ${after.status}, workers ${service.workerPids().length} of 2`,
  );
} finally {
  await service.stop();
}

async function prepare(running: Service): Promise<Keys> {
  await running.api(FLAGS, { method: 'POST', json: { flag_id: 'known', enabled: true, rollout_percentage: 50 } });
  const key = async (json: object): Promise<string> =>
    (await running.api('/api/v1/keys', { method: 'POST', json })).body.key;
  const expired = await key({ name: 'short-lived', expires_at: new Date(Date.now() + 300).toISOString() });
  await new Promise((resolve) => setTimeout(resolve, 350));
  return {
    app: await key({ name: 'app' }),
    staging: await key({ name: 'staging', scopes: ['write'], environments: ['staging'] }),
    both: await key({ name: 'both', environments: ['staging', 'dev'] }),
    expired,
  };
}

function cases(keys: Keys): readonly Case[] {
  return [...documentCases(), ...changeCases(), ...accessCases(keys), ...evaluationCases(), ...requestCases()];
}

function documentCases(): readonly Case[] {
  return [
    create('flag_id missing', {}),
    create('flag_id with a slash', { flag_id: 'a/b' }),
    create('flag_id of 129 characters', { flag_id: 'x'.repeat(129) }),
    create('flag_id that exists', { flag_id: 'known' }),
    create('enabled as a string', { flag_id: 'n', enabled: 'yes' }),
    create('rollout_percentage as a string', { flag_id: 'n', rollout_percentage: '50' }),
    create('rollout_percentage with three decimals', { flag_id: 'n', rollout_percentage: 12.345 }),
    create('rollout_percentage over 100', { flag_id: 'n', rollout_percentage: 100.01 }),
    create('rollout_percentage below 0', { flag_id: 'n', rollout_percentage: -1 }),
    create('an unknown field', { flag_id: 'n', rolout_percentage: 5 }),
    create('rollout on a boolean flag', { flag_id: 'n', rollout: [{ variant: 'on', percentage: 100 }] }),
    create('percentages that sum to 99.99', {
      ...STRING_FLAG,
      rollout: [
        { variant: 'a', percentage: 50 },
        { variant: 'b', percentage: 49.99 },
      ],
    }),
    create('a rollout over a variant that is not there', {
      ...STRING_FLAG,
      rollout: [{ variant: 'c', percentage: 100 }],
    }),
    create('a number where the type is string', { ...STRING_FLAG, variants: { a: 1, b: 'y' } }),
    create('off_variant that is not there', { ...STRING_FLAG, off_variant: 'z' }),
    create('a type that does not exist', { flag_id: 'n', type: 'date' }),
    create('a rule without when', { flag_id: 'n', rules: [{ rule_id: 'r', serve: { variant: 'on' } }] }),
    create('an empty any', { flag_id: 'n', rules: [{ rule_id: 'r', when: { any: [] }, serve: { variant: 'on' } }] }),
    create('an operator that does not exist', {
      flag_id: 'n',
      rules: [{ rule_id: 'r', when: { attribute: 'a', op: 'like', values: ['x'] }, serve: { variant: 'on' } }],
    }),
    create('a whole rule, not evaluated by this version', {
      flag_id: 'n',
      rules: [{ rule_id: 'r', when: { attribute: 'a', op: 'in', values: ['x'] }, serve: { variant: 'on' } }],
    }),
    create('an environment that does not exist', { flag_id: 'n', environment: 'moon' }),
    create('an array as the body', [1]),
  ];
}

function changeCases(): readonly Case[] {
  return [
    patch('null for the rollout', { rollout_percentage: null }),
    patch('another type', { type: 'string' }),
    patch('a flag_id other than the address', { flag_id: 'other' }),
    { name: 'PUT without enabled', method: 'PUT', path: `${FLAGS}/known`, json: { rollout_percentage: 5 } },
    {
      name: 'PUT on a flag that is not there',
      method: 'PUT',
      path: `${FLAGS}/nobody`,
      json: { enabled: true, rollout_percentage: 5 },
    },
    {
      name: 'If-Match of another version',
      method: 'PATCH',
      path: `${FLAGS}/known`,
      json: { description: 'x' },
      headers: { 'if-match': '"77"' },
    },
    { name: 'JSON that is cut short', method: 'POST', path: FLAGS, body: '{"flag_id":' },
    { name: 'JSON 10,000 levels deep', method: 'POST', path: FLAGS, body: '['.repeat(10_000) + ']'.repeat(10_000) },
    { name: 'a body of 10 MB', method: 'POST', path: FLAGS, body: `{"flag_id":"${'x'.repeat(10_000_000)}"}` },
    { name: 'text/plain', method: 'POST', path: FLAGS, body: '{}', headers: { 'content-type': 'text/plain' } },
  ];
}

function accessCases(keys: Keys): readonly Case[] {
  return [
    { name: 'no key', path: `${EVALUATE}?user_id=u`, key: '' },
    {
      name: 'a key that does not exist',
      path: `${EVALUATE}?user_id=u`,
      key: `burgee_admin_${'0'.repeat(43)}_00000000`,
    },
    { name: 'an expired key', path: `${EVALUATE}?user_id=u`, key: keys.expired },
    { name: 'an evaluate key that wants the definition', path: `${FLAGS}/known`, key: keys.app },
    { name: 'an evaluate key that writes', method: 'PATCH', path: `${FLAGS}/known`, json: {}, key: keys.app },
    { name: 'a staging key in prod', path: `${EVALUATE}?user_id=u&environment=prod`, key: keys.staging },
    {
      name: 'a staging key that names prod in the body',
      method: 'POST',
      path: FLAGS,
      json: { flag_id: 'n', environment: 'prod' },
      key: keys.staging,
    },
    { name: 'a key of two environments that names none', path: `${EVALUATE}?user_id=u`, key: keys.both },
    {
      name: 'query and body name different environments',
      method: 'POST',
      path: `${EVALUATE}?environment=dev`,
      json: { user_id: 'u', environment: 'prod' },
    },
    { name: 'an environment that does not exist, read', path: `${EVALUATE}?user_id=u&environment=moon` },
  ];
}

function evaluationCases(): readonly Case[] {
  return [
    { name: 'no user', path: EVALUATE },
    { name: 'an empty user', path: `${EVALUATE}?user_id=` },
    { name: 'two users', path: `${EVALUATE}?user_id=a&user_id=b` },
    { name: 'a user of 65,536 bytes', method: 'POST', path: EVALUATE, json: { user_id: 'x'.repeat(65_536) } },
    { name: 'a user that is a number', method: 'POST', path: EVALUATE, json: { user_id: 7 } },
    { name: 'a flag that is not there', path: `${FLAGS}/nobody/evaluate?user_id=u` },
    { name: 'a flag named __proto__', path: `${FLAGS}/__proto__/evaluate?user_id=u` },
    {
      name: 'attributes named __proto__ and constructor',
      method: 'POST',
      path: EVALUATE,
      body: '{"user_id":"u","attributes":{"__proto__":{"x":1},"constructor":1}}',
    },
    {
      name: 'a variant named constructor',
      method: 'POST',
      path: FLAGS,
      json: { ...STRING_FLAG, flag_id: 'proto', rollout: [{ variant: 'constructor', percentage: 100 }] },
    },
    { name: 'a user in Greek, emoji and quotes', path: `${EVALUATE}?user_id=${encodeURIComponent('Ωμέγα "🚩"')}` },
    { name: 'a bad percent in the path', path: `${FLAGS}/%zz/evaluate?user_id=u` },
    { name: 'a bad percent in the query', path: `${EVALUATE}?user_id=%e2%28` },
    { name: 'an unknown parameter', path: `${EVALUATE}?user_id=u&enviroment=dev` },
    { name: 'min_revision that is no number', path: `${EVALUATE}?user_id=u&min_revision=soon` },
    { name: 'min_revision 10,001 ahead', path: `${EVALUATE}?user_id=u&min_revision=99999` },
    { name: 'min_revision that does not come', path: `${EVALUATE}?user_id=u&min_revision=60` },
    { name: 'explain, not in this version', path: `${EVALUATE}?user_id=u&explain=true` },
    { name: 'a batch without contexts', method: 'POST', path: '/api/v1/evaluate', json: {} },
    {
      name: 'a batch of 1,001 contexts',
      method: 'POST',
      path: '/api/v1/evaluate',
      json: { contexts: Array.from({ length: 1001 }, () => ({ user_id: 'u' })) },
    },
  ];
}

function requestCases(): readonly Case[] {
  return [
    {
      name: 'a key with a scope that does not exist',
      method: 'POST',
      path: '/api/v1/keys',
      json: { name: 'k', scopes: ['root'] },
    },
    { name: 'a cursor that was never given', path: `${FLAGS}?cursor=nonsense!` },
    { name: 'limit 1001', path: `${FLAGS}?limit=1001` },
    { name: 'a route that is not there', path: '/api/v1/flagz' },
    { name: 'a method that is not there', method: 'DELETE', path: EVALUATE },
    { name: 'HEAD', method: 'HEAD', path: `${EVALUATE}?user_id=u` },
    {
      name: 'OPTIONS from a page of another origin',
      method: 'OPTIONS',
      path: EVALUATE,
      headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'GET' },
    },
  ];
}

async function ask(running: Service, each: Case): Promise<string> {
  const body = each.json === undefined ? each.body : JSON.stringify(each.json);
  try {
    const response = await fetch(running.url + (each.path ?? '/'), {
      method: each.method ?? 'GET',
      ...(body === undefined ? {} : { body }),
      headers: {
        ...(each.key === '' ? {} : { 'x-api-key': each.key ?? ADMIN_KEY }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...each.headers,
      },
    });
    return described(response.status, await response.text());
  } catch (error) {
    return `no answer: ${String((error as Error).cause ?? error)}`;
  }
}

function described(status: number, text: string): string {
  if (!text.startsWith('{')) return String(status);
  const reply = JSON.parse(text);
  const issue = reply.errors?.[0];
  const said = issue === undefined ? (reply.detail ?? '') : `${issue.path}: ${issue.message}`;
  return `${status} ${reply.code ?? 'ok'}${said === '' ? '' : `  ${said}`}`.slice(0, 170);
}

function rawCases(port: number): readonly (readonly [string, string])[] {
  const head = `Host: 127.0.0.1:${port}\r\nX-API-Key: ${ADMIN_KEY}\r\nContent-Type: application/json\r\n`;
  const path = `${EVALUATE}`;
  return [
    [
      'Content-Length twice',
      `POST ${path} HTTP/1.1\r\n${head}Content-Length: 15\r\nContent-Length: 3\r\n\r\n{"user_id":"u"}`,
    ],
    [
      'Content-Length and Transfer-Encoding',
      `POST ${path} HTTP/1.1\r\n${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['Transfer-Encoding: gzip', `POST ${path} HTTP/1.1\r\n${head}Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n`],
    ['a request line that is none', 'HELLO\r\n\r\n'],
    ['headers of 40 KB', `GET ${path}?user_id=u HTTP/1.1\r\n${head}X-Long: ${'x'.repeat(40_000)}\r\n\r\n`],
  ];
}

function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let received = '';
    const done = (how: string): void => {
      clearTimeout(timer);
      socket.destroy();
      const status = received.split(' ')[1];
      resolve(
        status === undefined
          ? how
          : `${described(Number(status), received.slice(received.indexOf('\r\n\r\n') + 4))}, ${how}`,
      );
    };
    const timer = setTimeout(() => done('left open'), 1000);
    socket.on('data', (chunk) => (received += chunk.toString('latin1')));
    socket.on('error', () => done('closed'));
    socket.on('close', () => done('closed'));
  });
}
