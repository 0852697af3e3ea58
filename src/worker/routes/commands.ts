// What the store must do: sent to the primary, answered when every worker of this node serves it.
import type { Command } from '../../ipc/messages.ts';
import type { Answer, Call } from '../http/call.ts';
import type { HttpDeps } from '../http/deps.ts';
import { refuse } from '../http/refusal.ts';
import { jsonReply } from '../http/reply.ts';

export type RunCommand = (call: Call, command: Command) => Promise<Answer>;

export function createRunCommand(link: Pick<HttpDeps['link'], 'command'>): RunCommand {
  return async (call, command) => {
    const outcome = await link.command({
      actor: call.key.keyId,
      requestId: call.request.requestId,
      idempotency: call.idempotency,
      tags: call.key.tags === undefined ? undefined : [...call.key.tags],
      command,
    });
    if (outcome.ok) {
      const headers = Object.entries(outcome.headers).filter(([name]) => name.toLowerCase() !== 'cache-control');
      return jsonReply(outcome.status, outcome.body, headers, outcome.revision);
    }
    // A list changes nothing, so there is no outcome to wonder about.
    if (command.type === 'key.list' && outcome.code === 'OUTCOME_UNKNOWN')
      return refuse('STORAGE_UNAVAILABLE', 'The store did not answer in time.');
    return {
      ...refuse(outcome.code, outcome.detail),
      issues: outcome.issues ?? [],
      ...(outcome.dependents === undefined ? {} : { dependents: outcome.dependents }),
    };
  };
}
