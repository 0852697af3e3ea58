// Walks the route table: every route, with every kind of key, in the right, a wrong and no environment.
import { test } from 'tap';
import { type Route, routes } from '../../src/api/routes.ts';
import { type ErrorCode, errors } from '../../src/errors.ts';
import { makeFlag, makeKey, makeSegment, makeSnapshot, startServing } from '../support/serving.ts';

const SCOPES = ['evaluate', 'read', 'write', 'admin'] as const;
const BINDINGS = { unbound: undefined, one: ['prod'], several: ['prod', 'dev'] } as const;
const ENVIRONMENTS = { right: 'prod', wrong: 'staging', unknown: 'nowhere', none: undefined } as const;
const BODIES: Readonly<Record<string, object>> = {
  evaluateFlagWithBody: { user_id: 'u' },
  evaluateBatch: { contexts: [{ user_id: 'u' }] },
  createFlag: { flag_id: 'new' },
  replaceFlag: { enabled: true },
  patchFlag: { enabled: true },
  createEnvironment: { environment: 'prod' },
  createKey: { name: 'n' },
  rotateKey: {},
  restoreFlag: {},
  createSegment: { segment_id: 'new' },
  changeSegmentMembers: { list: 'included', add: ['u'] },
};

interface Case {
  readonly route: Route;
  readonly scope: (typeof SCOPES)[number];
  readonly binding: keyof typeof BINDINGS;
  readonly environment: keyof typeof ENVIRONMENTS;
  /** Whether a body names the environment instead of the query. */
  readonly inBody: boolean;
}

function pathOf(pattern: string): string {
  const parameters: Readonly<Record<string, string>> = {
    flag_id: 'a',
    segment_id: 's',
    list: 'excluded',
    key: 'a',
    key_id: 'key_1',
    file: 'init.js',
  };
  return pattern.replaceAll(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? name);
}

/** What the contract says, written apart from the code that does it. */
function expected({ route, scope, binding, environment }: Case): string {
  if (route.scope !== undefined && SCOPES.indexOf(scope) < SCOPES.indexOf(route.scope)) return 'SCOPE_REQUIRED';
  if (route.operationId === 'ofrepStream') return 'UNAUTHORIZED';
  if (route.operationId === 'openSocket') return 'UPGRADE_REQUIRED';
  if (route.scope === undefined || route.environment === 'none') return 'ok';
  const isBound = binding !== 'unbound';
  if (environment === 'none') return binding === 'several' ? 'ENVIRONMENT_REQUIRED' : 'ok';
  if (isBound && environment !== 'right') return 'ENVIRONMENT_FORBIDDEN';
  // A write's environment is looked up by the primary, which is not here.
  if (environment === 'unknown' && route.snapshot) return 'ENVIRONMENT_NOT_FOUND';
  if (environment !== 'wrong' || !route.snapshot) return 'ok';
  if (/\{(?:flag_id|key)\}/.test(route.pattern)) return 'FLAG_NOT_FOUND';
  return route.pattern.includes('{segment_id}') ? 'SEGMENT_NOT_FOUND' : 'ok';
}

function* cases(): Generator<Case> {
  for (const route of routes) {
    for (const scope of SCOPES) {
      for (const binding of Object.keys(BINDINGS) as (keyof typeof BINDINGS)[]) {
        for (const environment of Object.keys(ENVIRONMENTS) as (keyof typeof ENVIRONMENTS)[]) {
          if (route.environment === 'none' && environment !== 'none') continue;
          yield { route, scope, binding, environment, inBody: false };
          if (['body', 'header'].includes(route.environment) && environment !== 'none')
            yield { route, scope, binding, environment, inBody: true };
        }
      }
    }
  }
}

/** OFREP has few codes of its own: there the status has to be that of what is wanted. */
function codeOf(route: Route, status: number, text: string, wanted: string): string {
  const body = JSON.parse(text) as { readonly code: string; readonly errorCode: string };
  if (route.group !== 'ofrep') return body.code;
  const fits = wanted !== 'ok' && errors[wanted as ErrorCode].status === status;
  return fits && ['GENERAL', wanted].includes(body.errorCode) ? wanted : `${status} ${body.errorCode}`;
}

test('every route x every kind of key x right, wrong and no environment', async (t) => {
  const keys = SCOPES.flatMap((scope) =>
    (Object.keys(BINDINGS) as (keyof typeof BINDINGS)[]).map((binding) => {
      const environments = BINDINGS[binding];
      return makeKey({ raw: `${scope}-${binding}`, scope, ...(environments === undefined ? {} : { environments }) });
    }),
  );
  const flags = ['prod', 'staging', 'dev'].map((environment) =>
    makeFlag({ flag_id: 'a', enabled: true, rollout_percentage: 100 }, environment),
  );
  const serving = await startServing(
    makeSnapshot(
      9,
      flags.filter((flag) => flag.environment !== 'staging'),
      keys,
      ['prod', 'dev'].map((environment) => makeSegment({ segmentId: 's', environment })),
    ),
  );
  t.teardown(() => serving.http.close());
  serving.command = () => ({ ok: true, status: 200, headers: {}, body: '{}', revision: 10 });

  let walked = 0;
  for (const entry of cases()) {
    const { route, scope, binding, environment, inBody } = entry;
    const name = ENVIRONMENTS[environment];
    const path = pathOf(route.pattern);
    const query = new URLSearchParams({
      ...(name === undefined || inBody ? {} : { environment: name }),
      ...(route.operationId === 'evaluateFlag' ? { user_id: 'u' } : {}),
    });
    const json = JSON.stringify({ ...BODIES[route.operationId], ...(inBody ? { environment: name } : {}) });
    const body = route.body === undefined ? (route.upload?.example ?? null) : json;
    const mediaType = route.upload === undefined ? 'application/json' : 'text/plain';
    const reply = await fetch(`${serving.url}${path}?${query}`, {
      method: route.method,
      body,
      redirect: 'manual',
      headers: { 'x-api-key': `${scope}-${binding}`, ...(body === null ? {} : { 'content-type': mediaType }) },
    });
    const text = await reply.text();
    const wanted = expected(entry);
    const code = reply.status < 400 ? 'ok' : codeOf(route, reply.status, text, wanted);
    if (code !== wanted)
      t.equal(
        code,
        wanted,
        `${route.method} ${path} with ${scope}, ${binding}, environment ${environment}${inBody ? ' in the body' : ''}`,
      );
    walked += 1;
  }
  t.ok(walked > 500, `${walked} cases`);
});

test('no route that asks for a key answers without one', async (t) => {
  const serving = await startServing(makeSnapshot(9, [], []));
  t.teardown(() => serving.http.close());
  for (const route of routes.filter(({ scope }) => scope !== undefined)) {
    for (const pattern of route.alias === undefined ? [route.pattern] : [route.pattern, route.alias]) {
      const reply = await fetch(serving.url + pathOf(pattern), { method: route.method });
      t.equal(reply.status, 401, `${route.method} ${pattern}`);
    }
  }
});
