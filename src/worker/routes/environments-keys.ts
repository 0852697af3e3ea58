// Environments and keys.
import type { Grantor } from '../../ipc/messages.ts';
import type { Call, KeyedHandlers } from '../http/call.ts';
import { checkBound } from '../http/environment.ts';
import { jsonReply } from '../http/reply.ts';
import type { RunCommand } from './commands.ts';
import { visibleEnvironments } from './document-list.ts';
import { decodeCursor, encodeCursor, pageLimit, refuseCursor } from './page.ts';

export function createEnvironmentHandlers(
  run: RunCommand,
): Pick<KeyedHandlers, 'listEnvironments' | 'createEnvironment'> {
  return {
    listEnvironments: (call) => {
      const cursor = call.query.values.get('cursor');
      const after = cursor === undefined ? [''] : decodeCursor(cursor, 1);
      if (after === undefined) return refuseCursor();
      const limit = pageLimit(call);
      return (snapshot) => {
        const rest = visibleEnvironments(call.key, snapshot).filter(
          ({ environment }) => environment > (after[0] ?? ''),
        );
        const page = rest.slice(0, limit);
        const last = page[page.length - 1];
        const next = rest.length > page.length && last !== undefined ? `"${encodeCursor([last.environment])}"` : 'null';
        return jsonReply(200, `{"items":[${page.map(({ json }) => json).join(',')}],"next_cursor":${next}}`);
      };
    },
    createEnvironment: (call) => {
      const { environment } = call.body as { readonly environment: string };
      return checkBound(call.key, environment) ?? (() => run(call, { type: 'environment.create', body: call.body }));
    },
  };
}

export function createKeyHandlers(
  run: RunCommand,
): Pick<KeyedHandlers, 'listKeys' | 'createKey' | 'revokeKey' | 'rotateKey'> {
  const keyId = (call: Call): string => call.parameters[0] ?? '';
  return {
    listKeys: (call) => () =>
      run(call, {
        type: 'key.list',
        grantor: grantorOf(call),
        cursor: call.query.values.get('cursor'),
        limit: pageLimit(call),
      }),
    createKey: (call) => () => run(call, { type: 'key.create', grantor: grantorOf(call), body: call.body }),
    revokeKey: (call) => () => run(call, { type: 'key.revoke', grantor: grantorOf(call), keyId: keyId(call) }),
    rotateKey: (call) => () =>
      run(call, { type: 'key.rotate', grantor: grantorOf(call), keyId: keyId(call), body: call.body }),
  };
}

function grantorOf({ key }: Call): Grantor {
  return {
    scopes: key.scopes,
    environments: key.environments === undefined ? undefined : [...key.environments],
    tags: key.tags === undefined ? undefined : [...key.tags],
  };
}
