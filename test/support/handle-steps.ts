// What tests of handles do again and again: a service of one key, and its flags, messages and answers.
import type { Test } from 'tap';
import type { CompiledFlag } from '../../src/core/compiled.ts';
import type { ServingKey } from '../../src/worker/serving.ts';
import { type BinaryRequest, type BinaryUser, decodeReply, encodeRequest } from './binary-client.ts';
import { type ErrorMessage, type FakeConnection, type HandlesBench, startHandles } from './handles.ts';
import { makeFlag, makeKey, makeSnapshot } from './serving.ts';

export const key = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });
export const on = makeFlag({ flag_id: 'on', enabled: true, rollout_percentage: 100 });
export const off = makeFlag({ flag_id: 'off', enabled: false });
export const half = makeFlag({ flag_id: 'half', enabled: true, rollout_percentage: 50 });
export const poland = makeFlag({
  flag_id: 'poland',
  enabled: true,
  rollout_percentage: 0,
  rules: [
    {
      rule_id: 'pl',
      when: { all: [{ attribute: 'country', op: 'equals', values: ['PL'] }] },
      serve: { variant: 'on' },
    },
  ],
});

export function color(names: readonly string[], fields: Readonly<Record<string, unknown>> = {}, environment = 'prod') {
  const variants = Object.fromEntries(names.map((name) => [name, `#${name}`]));
  return makeFlag(
    { flag_id: 'color', enabled: true, type: 'string', variants, off_variant: names.at(-1), ...fields },
    environment,
  );
}

export function serve(flags: readonly CompiledFlag[], keys: readonly ServingKey[] = [key], revision = 10) {
  const bench = startHandles(makeSnapshot(revision, flags, keys));
  const client = bench.connect(keys[0] as ServingKey);
  return { bench, client };
}

export function prepare(
  bench: HandlesBench,
  client: FakeConnection,
  flagIds?: readonly string[],
  asked: { readonly id?: number; readonly environment?: string; readonly minRevision?: number } = {},
): void {
  const { id = 5, environment, minRevision } = asked;
  bench.handles.prepare(client, { type: 'prepare', id, environment, minRevision, flagIds });
}

export function ask(
  bench: HandlesBench,
  client: FakeConnection,
  users: readonly (string | BinaryUser)[],
  request: Partial<BinaryRequest> = {},
): boolean {
  const named = users.map((user) => (typeof user === 'string' ? { userId: user } : user));
  return bench.handles.frame(client, encodeRequest({ op: 1, options: 0, handle: 1, id: 77, ...request, users: named }));
}

export const lastError = (client: FakeConnection): ErrorMessage => client.received.at(-1) as ErrorMessage;

export function lastRows(t: Test, client: FakeConnection): number[][] {
  const reply = client.received.at(-1);
  t.ok(reply instanceof Uint8Array, JSON.stringify(reply));
  const { userCount, flagCount, cell } = decodeReply(reply as Uint8Array);
  return Array.from({ length: userCount }, (_, user) =>
    Array.from({ length: flagCount }, (_, flag) => cell(user, flag)),
  );
}
