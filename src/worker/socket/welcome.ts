// The first message of the server: what the client may do here, so that it need not find out by being refused.
import { limits } from '../../limits.ts';
import type { ServingKey, ServingSnapshot } from '../serving.ts';

const LIMITS = JSON.stringify({
  frame_bytes: limits.socketMessageBytesMax,
  contexts: limits.batchContextsMax,
  flags: limits.batchFlagsMax,
  evaluations: limits.batchEvaluationsMax,
  binary_users: limits.binaryUsersMax,
  binary_evaluations: limits.binaryEvaluationsMax,
  requests_in_flight: limits.socketRequestsMax,
  subscriptions: limits.subscriptionsPerSocketMax,
  handles: limits.socketHandlesMax,
  unsent_bytes: limits.socketUnsentBytesMax,
});

export function welcomeText(snapshot: ServingSnapshot, key: ServingKey): string {
  const environments = [...snapshot.environments.keys()]
    .filter((environment) => key.environments === undefined || key.environments.has(environment))
    .sort();
  return `{"type":"welcome","revision":${snapshot.revision},"environments":${JSON.stringify(environments)},"limits":${LIMITS}}`;
}
