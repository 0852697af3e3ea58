// @openfeature/ofrep-web-provider, as published, with @openfeature/web-sdk against a running service.
import { once } from 'node:events';
import { OFREPWebProvider, type OFREPWebProviderOptions } from '@openfeature/ofrep-web-provider';
import { type Client, type EvaluationContext, OpenFeature, type Provider, ProviderEvents } from '@openfeature/web-sdk';
import { EventSource } from 'eventsource';
import { type Test, test } from 'tap';
import { startOfrepService } from '../support/ofrep-service.ts';

const { service, key, newKey, patch } = await startOfrepService();
// Browsers have one; the provider looks for it when it connects.
Object.assign(globalThis, { EventSource });
let domains = 0;

/** A client with a record of what its provider asked and was answered. */
interface Watched {
  readonly client: Client;
  readonly provider: OFREPWebProvider;
  readonly asked: { readonly url: string; readonly ifNoneMatch: string | null; status: number; etag: string | null }[];
  /** Resolves with the flags that changed, at the next event. */
  changed(): Promise<readonly string[]>;
}

async function webClient(
  t: Test,
  context: EvaluationContext,
  options: Partial<OFREPWebProviderOptions> = {},
): Promise<Watched> {
  const asked: Watched['asked'] = [];
  const domain = `web-${++domains}`;
  const provider = new OFREPWebProvider({
    baseUrl: service.url,
    headers: [['X-API-Key', key]],
    cacheMode: 'disabled',
    fetchImplementation: async (sent: string | URL | Request, init?: RequestInit) => {
      const request = sent as Request;
      const entry = {
        url: request.url,
        ifNoneMatch: request.headers.get('if-none-match'),
        status: 0,
        etag: null as string | null,
      };
      asked.push(entry);
      const response = await fetch(request, init);
      entry.status = response.status;
      entry.etag = response.headers.get('etag');
      return response;
    },
    ...options,
  });
  await OpenFeature.setContext(domain, context);
  await OpenFeature.setProviderAndWait(domain, provider as Provider);
  const client = OpenFeature.getClient(domain);
  t.teardown(() => provider.onClose?.());
  const changed = (): Promise<readonly string[]> =>
    new Promise((resolve) => {
      const handler = (details?: object): void => {
        client.removeHandler(ProviderEvents.ConfigurationChanged, handler);
        resolve((details as { flagsChanged?: string[] })?.flagsChanged ?? []);
      };
      client.addHandler(ProviderEvents.ConfigurationChanged, handler);
    });
  return { client, provider, asked, changed };
}

const setContext = (watched: Watched, context: EvaluationContext): Promise<void> =>
  OpenFeature.setContext(watched.client.metadata.domain as string, context);

test('the npm web provider and every type: found, match, disabled, unknown, another type, no targeting key', async (t) => {
  const user = await webClient(t, { targetingKey: 'u1' });
  const pole = await webClient(t, { targetingKey: 'u1', country: 'PL' });
  const nobody = await webClient(t, {});
  const types: [
    name: string,
    ask: (client: Client, flag: string) => object,
    fallback: unknown,
    on: unknown,
    pl: unknown,
    off: unknown,
    other: string,
  ][] = [
    ['boolean', (client, flag) => client.getBooleanDetails(flag, true), true, true, false, false, 'string'],
    ['string', (client, flag) => client.getStringDetails(flag, 'mine'), 'mine', 'żółw "1"', 'tak', 'nothing', 'float'],
    ['integer', (client, flag) => client.getNumberDetails(flag, -1), -1, 42, -7, 0, 'boolean'],
    ['float', (client, flag) => client.getNumberDetails(flag, -1), -1, 2, 0.25, 0, 'object'],
    [
      'object',
      (client, flag) => client.getObjectDetails(flag, { mine: 1 }),
      { mine: 1 },
      { nested: { list: [1, 'two', null] } },
      { kraj: true },
      {},
      'string',
    ],
  ];
  for (const [name, ask, fallback, on, pl, off, other] of types) {
    t.match(ask(user.client, name), { value: on, reason: 'STATIC', variant: 'on' }, `${name}: found`);
    t.match(ask(pole.client, name), { value: pl, reason: 'TARGETING_MATCH' }, `${name}: targeting match`);
    t.match(ask(user.client, `${name}-disabled`), { value: off, reason: 'DISABLED' }, `${name}: disabled`);
    t.match(ask(user.client, `${name}-split`), { reason: 'SPLIT' }, `${name}: split`);
    t.match(ask(user.client, 'no-such-flag'), { value: fallback, errorCode: 'FLAG_NOT_FOUND' }, `${name}: unknown`);
    t.match(ask(user.client, other), { value: fallback, errorCode: 'TYPE_MISMATCH' }, `${name}: another type`);
    t.match(
      ask(nobody.client, `${name}-split`),
      { value: fallback, errorCode: 'TARGETING_KEY_MISSING' },
      `${name}: missing targeting key`,
    );
  }
  t.match(pole.client.getBooleanDetails('boolean', true).flagMetadata, {
    reason: 'RULE_MATCH',
    rule_id: 'poland',
    version: 1,
  });
});

test('the npm web provider and both headers, and an environment', async (t) => {
  const bearer = await webClient(t, {}, { headers: [['Authorization', `Bearer ${key}`]] });
  t.equal(bearer.client.getBooleanValue('boolean', false), true, 'Authorization: Bearer');
  const dev = await webClient(
    t,
    {},
    {
      headers: [
        ['X-API-Key', key],
        ['X-Flags-Environment', 'dev'],
      ],
    },
  );
  t.equal(dev.client.getBooleanValue('boolean', true), false, 'X-Flags-Environment');
  const slash = await webClient(t, {}, { baseUrl: `${service.url}/` });
  t.equal(slash.client.getBooleanValue('boolean', false), true, 'a base URL that ends in a slash');
});

test('the npm web provider and errors at its start', async (t) => {
  await t.rejects(webClient(t, {}, { headers: [] }), /Initialization failed/, '401');
  const bound = await newKey({ environments: ['dev'] });
  const forbidden = {
    headers: [
      ['X-API-Key', bound],
      ['X-Flags-Environment', 'prod'],
    ] as [string, string][],
  };
  await t.rejects(webClient(t, {}, forbidden), /Initialization failed/, '403');
  await t.rejects(webClient(t, { targetingKey: 7 as unknown as string }), 'a targeting key that is a number');
});

test('the npm web provider polls with the tag it has: 304 while nothing changes, then the change', async (t) => {
  const watched = await webClient(t, { targetingKey: 'u1' }, { changeDetection: 'polling', pollInterval: 50 });
  t.match(watched.asked[0], { status: 200, ifNoneMatch: null, etag: /^".+"$/ });
  while (watched.asked.filter(({ status }) => status === 304).length < 3) await new Promise(setImmediate);
  t.equal(watched.asked[1]?.ifNoneMatch, watched.asked[0]?.etag);
  t.equal(watched.client.getBooleanValue('boolean', false), true);
  const changed = watched.changed();
  await patch('boolean', { rollout_percentage: 0 });
  t.same(await changed, ['boolean'], 'and only what changed is told as changed');
  t.equal(watched.client.getBooleanValue('boolean', true), false);
  await patch('boolean', { rollout_percentage: 100 });
});

test('a change of attributes alone is answered anew, though the web provider sends the old tag', async (t) => {
  const watched = await webClient(t, { targetingKey: 'u1', country: 'DE' }, { changeDetection: 'none' });
  const tag = watched.asked[0]?.etag;
  t.equal(watched.client.getStringValue('string', ''), 'żółw "1"');
  await setContext(watched, { targetingKey: 'u1', country: 'PL' });
  t.match(watched.asked.at(-1), { status: 200, ifNoneMatch: tag }, 'the old tag was sent, and 200 came');
  t.equal(watched.client.getStringValue('string', ''), 'tak');
  await setContext(watched, { targetingKey: 'u2', country: 'PL' });
  t.match(watched.asked.at(-1), { status: 200, ifNoneMatch: null }, 'for another user it sends none');
});

test('the web provider connects to the stream, and hears of a change without polling', async (t) => {
  const watched = await webClient(t, { targetingKey: 'u1' });
  await connected(watched);
  const before = watched.asked.length;
  const changed = watched.changed();
  const startedMs = performance.now();
  await patch('string', { off_variant: 'off', rollout: [{ variant: 'pl', percentage: 100 }] });
  t.same(await changed, ['string']);
  t.comment(`heard and fetched ${Math.round(performance.now() - startedMs)} ms after the write began`);
  t.equal(watched.client.getStringValue('string', ''), 'tak');
  t.match(watched.asked[before], {
    url: /flagConfigEtag=[0-9a-f]{8}-\d+&flagConfigLastModified=\d+$/,
    status: 200,
    ifNoneMatch: String,
  });
  t.equal(watched.asked.length, before + 1, 'one request for it');
  const count = watched.asked.length;
  await setContext(watched, { targetingKey: 'u1', country: 'DE' });
  t.equal(watched.asked.length, count + 1);
});

test('what changed between the first answer and the opening of the stream is not missed', async (t) => {
  let hold: (() => void) | undefined;
  class LateEventSource extends EventSource {
    constructor(url: string | URL) {
      const late = new Promise<void>((resolve) => (hold = resolve));
      super(url, { fetch: (input, init) => late.then(() => fetch(input as string, init as RequestInit)) });
    }
  }
  Object.assign(globalThis, { EventSource: LateEventSource });
  t.teardown(() => Object.assign(globalThis, { EventSource }));
  const watched = await webClient(t, { targetingKey: 'u1' });
  const changed = watched.changed();
  await patch('integer', { rollout: [{ variant: 'pl', percentage: 100 }] });
  t.equal(watched.client.getNumberValue('integer', 0), 42, 'it has not heard');
  hold?.();
  t.same(await changed, ['integer']);
  t.equal(watched.client.getNumberValue('integer', 0), -7);
});

test('a stream dies with its key', async (t) => {
  const made = await service.api('/api/v1/keys', {
    method: 'POST',
    json: { name: 'short-lived', scopes: ['evaluate'] },
  });
  const bulk = await fetch(`${service.url}/ofrep/v1/evaluate/flags`, {
    method: 'POST',
    headers: { 'x-api-key': made.body.key, 'content-type': 'application/json' },
    body: '{}',
  });
  const { eventStreams } = (await bulk.json()) as { eventStreams: { endpoint: { requestUri: string } }[] };
  const url = service.url + eventStreams[0]?.endpoint.requestUri;
  const stream = await fetch(url);
  t.equal(stream.status, 200);
  const ended = stream.text();
  await service.api(`/api/v1/keys/${made.body.key_id}`, { method: 'DELETE' });
  t.match(await ended, /^retry: \d+\n\n$/, 'it ended, with nothing more');
  t.equal((await fetch(url)).status, 401);
  t.notMatch(service.output(), 'token=', 'and no token was logged');
});

test('the service of the npm web provider stops while streams are open', async (t) => {
  const watched = await webClient(t, { targetingKey: 'u1' });
  await connected(watched);
  const stale = new Promise<void>((resolve) => watched.client.addHandler(ProviderEvents.Stale, () => resolve()));
  t.equal(await service.stop(), 0);
  await stale;
  await OpenFeature.close();
});

/** Resolves when the provider's stream is open. */
async function connected({ provider }: Watched): Promise<void> {
  const { _sseManager: manager } = provider as unknown as { _sseManager?: { _connections: EventSource[] } };
  const source = manager?._connections[0];
  if (source === undefined) throw new Error('the provider has not connected to the stream');
  if (source.readyState !== source.OPEN) await once(source as unknown as EventTarget, 'open');
}
