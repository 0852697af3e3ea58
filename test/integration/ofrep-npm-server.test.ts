// @openfeature/ofrep-provider, as published, with @openfeature/server-sdk against a running service.
import { OFREPProvider, type OFREPProviderOptions } from '@openfeature/ofrep-provider';
import {
  type Client,
  type EvaluationContext,
  type EvaluationDetails,
  type FlagValue,
  OpenFeature,
} from '@openfeature/server-sdk';
import { type Test, test } from 'tap';
import { startOfrepService } from '../support/ofrep-service.ts';

const { service, key, newKey } = await startOfrepService();
let domains = 0;

async function clientWith(options: Partial<OFREPProviderOptions> = {}): Promise<Client> {
  const domain = `server-${++domains}`;
  const provider = new OFREPProvider({ baseUrl: service.url, headers: [['X-API-Key', key]], ...options });
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
}

type Ask = (client: Client, flag: string, context?: EvaluationContext) => Promise<EvaluationDetails<FlagValue>>;
interface Type {
  readonly name: string;
  readonly fallback: unknown;
  readonly ask: Ask;
  readonly on: unknown;
  readonly pl: unknown;
  readonly off: unknown;
  /** A flag of another type. */
  readonly other: string;
}

const numbers: Ask = (client, flag, context) => client.getNumberDetails(flag, -1, context);
const types: readonly Type[] = [
  {
    name: 'boolean',
    fallback: true,
    ask: (client, flag, context) => client.getBooleanDetails(flag, true, context),
    on: true,
    pl: false,
    off: false,
    other: 'string',
  },
  {
    name: 'string',
    fallback: 'mine',
    ask: (client, flag, context) => client.getStringDetails(flag, 'mine', context),
    on: 'żółw "1"',
    pl: 'tak',
    off: 'nothing',
    other: 'integer',
  },
  { name: 'integer', fallback: -1, ask: numbers, on: 42, pl: -7, off: 0, other: 'boolean' },
  { name: 'float', fallback: -1, ask: numbers, on: 2, pl: 0.25, off: 0, other: 'object' },
  {
    name: 'object',
    fallback: { mine: 1 },
    ask: (client, flag, context) => client.getObjectDetails(flag, { mine: 1 }, context),
    on: { nested: { list: [1, 'two', null] } },
    pl: { kraj: true },
    off: {},
    other: 'boolean',
  },
];

for (const { name, fallback, ask, on, pl, off, other } of types) {
  test(`the npm server provider and a ${name} flag`, async (t) => {
    const client = await clientWith();
    const is = async (what: string, flag: string, context: EvaluationContext, wanted: object): Promise<void> => {
      t.match(await ask(client, flag, context), wanted, `${name}: ${what}`);
    };
    await is('found', name, { targetingKey: 'u1' }, { value: on, reason: 'STATIC', variant: 'on' });
    await is('without any context', name, {}, { value: on, reason: 'STATIC' });
    await is('targeting match', name, { targetingKey: 'u1', country: 'PL' }, { value: pl, reason: 'TARGETING_MATCH' });
    const poland = await ask(client, name, { country: 'PL' });
    t.match(
      poland.flagMetadata,
      { reason: 'RULE_MATCH', rule_id: 'poland', version: 1, revision: Number },
      `${name}: metadata`,
    );
    await is('disabled', `${name}-disabled`, { targetingKey: 'u1' }, { value: off, reason: 'DISABLED' });
    await is('split', `${name}-split`, { targetingKey: 'u1' }, { reason: 'SPLIT' });
    await is('missing targeting key', `${name}-split`, {}, { value: fallback, errorCode: 'TARGETING_KEY_MISSING' });
    await is('unknown', 'no-such-flag', {}, { value: fallback, errorCode: 'FLAG_NOT_FOUND', reason: 'ERROR' });
    await is('another type', other, {}, { value: fallback, errorCode: 'TYPE_MISMATCH' });
    await is(
      'a context that is too large',
      name,
      Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`a${i}`, i])),
      { value: fallback, errorCode: 'INVALID_CONTEXT', errorMessage: /256 attributes/ },
    );
  });
}

async function told(
  t: Test,
  options: Partial<OFREPProviderOptions>,
  flag: string,
  wanted: object,
  what: string,
): Promise<void> {
  const client = await clientWith(options);
  t.match(await client.getBooleanDetails(flag, true, { targetingKey: 'u1' }), wanted, what);
}

test('the npm server provider and both headers, a base URL with a slash, and an environment', async (t) => {
  const found = { value: true, reason: 'STATIC' };
  await told(t, { headers: [['X-API-Key', key]] }, 'boolean', found, 'X-API-Key');
  await told(t, { headers: [['Authorization', `Bearer ${key}`]] }, 'boolean', found, 'Authorization: Bearer');
  await told(t, { headers: [], headersFactory: () => [['X-API-Key', key]] }, 'boolean', found, 'a header of each call');
  await told(t, { baseUrl: `${service.url}/` }, 'boolean', found, 'a base URL that ends in a slash');
  const dev = {
    headers: [
      ['X-API-Key', key],
      ['X-Flags-Environment', 'dev'],
    ] as [string, string][],
  };
  await told(t, dev, 'boolean', { value: false, reason: 'STATIC' }, 'X-Flags-Environment');
});

test('the npm server provider and errors', async (t) => {
  const failed = { value: true, reason: 'ERROR' };
  const general = { ...failed, errorCode: 'GENERAL' };
  const statuses: number[] = [];
  const noting = async (sent: Request): Promise<Response> => {
    const response = await fetch(sent);
    statuses.push(response.status);
    return response;
  };
  const fetchImplementation = noting as OFREPProviderOptions['fetchImplementation'];
  await told(t, { headers: [], fetchImplementation }, 'boolean', general, '401');
  const bound = await newKey({ environments: ['dev'] });
  const forbidden = {
    headers: [
      ['X-API-Key', bound],
      ['X-Flags-Environment', 'prod'],
    ] as [string, string][],
  };
  await told(t, { ...forbidden, fetchImplementation }, 'boolean', general, '403');
  t.same(statuses, [401, 403], 'which the provider gives no message of');
  const nowhere = {
    headers: [
      ['X-API-Key', key],
      ['X-Flags-Environment', 'nowhere'],
    ] as [string, string][],
  };
  await told(t, nowhere, 'boolean', { ...general, errorMessage: /no environment "nowhere"/ }, 'an unknown environment');
  const broken = {
    fetchImplementation: (sent: Request) =>
      fetch(sent.url, { method: 'POST', headers: sent.headers, body: '{"context"' }),
  };
  await told(
    t,
    broken as Partial<OFREPProviderOptions>,
    'boolean',
    { ...failed, errorCode: 'PARSE_ERROR' },
    'malformed JSON',
  );
  await told(
    t,
    {},
    'a/b',
    { ...failed, errorCode: 'FLAG_NOT_FOUND', errorMessage: /"a\/b"/ },
    'a key with a slash, sent raw',
  );
  await told(
    t,
    {},
    'żółw',
    { ...failed, errorCode: 'FLAG_NOT_FOUND', errorMessage: /"żółw"/ },
    'a key of other letters',
  );
  await told(t, {}, 'a%zz', { ...failed, errorCode: 'PARSE_ERROR' }, 'a key that is bad percent-encoding');
});

test('the npm server provider pauses for as long as Retry-After says', async (t) => {
  const once = await newKey({ rate_limit: 1 });
  const client = await clientWith({ headers: [['X-API-Key', once]] });
  const asked = Date.now();
  let answer = await client.getBooleanDetails('boolean', false);
  // A window may end between two calls.
  for (let i = 0; i < 3 && answer.errorCode === undefined; i += 1)
    answer = await client.getBooleanDetails('boolean', false);
  t.match(answer, { value: false, errorCode: 'GENERAL', errorMessage: /rate limit exceeded, try again after/ });
  t.match(await client.getBooleanDetails('boolean', false), { errorMessage: /paused due to TooManyRequests until/ });
  const until = Date.parse(
    /until (.*)$/.exec((await client.getBooleanDetails('boolean', false)).errorMessage ?? '')?.[1] ?? '',
  );
  t.ok(until > asked && until <= Date.now() + 61_000, 'within the minute');
});

test('the service of the npm server provider stops', async (t) => {
  await OpenFeature.close();
  t.equal(await service.stop(), 0);
});
