// What an OFREP bulk answer has beside its flags, and what its ETags begin with: the same for all contexts of one key
// and environment, so it is made once, and again when its stream's token changes.
import { changeTag } from '../change-tag.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { makeStreamToken, tokenWindow } from '../stream-token.ts';
import { tagBase } from './ofrep-tag.ts';

/** A page that nobody looks at for this long closes its stream; the protocol's own default, said all the same. */
const INACTIVITY_SECONDS = 120;

export interface BulkFrame {
  /** For tagOf. */
  readonly tagBase: string;
  /** Behind the array of flags, to the end; before it is BULK_HEAD. All of it follows from what the ETag is made of. */
  readonly tail: string;
}

export const BULK_HEAD = '{"flags":';

interface KnownFrame extends BulkFrame {
  readonly epoch: string;
  readonly secret: Uint8Array | undefined;
  readonly window: number;
}

export type BulkFrames = (
  snapshot: ServingSnapshot,
  environment: ServingEnvironment,
  key: ServingKey,
  nowMs: number,
) => BulkFrame;

export function createBulkFrames(): BulkFrames {
  // As many as there are keys and environments in use; they go with them.
  const known = new WeakMap<ServingEnvironment, WeakMap<ServingKey, KnownFrame>>();

  return (snapshot, environment, key, nowMs) => {
    let ofEnvironment = known.get(environment);
    if (ofEnvironment === undefined) {
      ofEnvironment = new WeakMap();
      known.set(environment, ofEnvironment);
    }
    const window = tokenWindow(nowMs);
    let frame = ofEnvironment.get(key);
    // An environment and a key that did not change are carried from snapshot to snapshot; the rest is not in them.
    if (
      frame === undefined ||
      frame.window !== window ||
      frame.secret !== snapshot.streamSecret ||
      frame.epoch !== snapshot.epoch
    ) {
      frame = makeFrame(snapshot, environment, key, nowMs);
      ofEnvironment.set(key, frame);
    }
    return frame;
  };
}

function makeFrame(
  snapshot: ServingSnapshot,
  environment: ServingEnvironment,
  key: ServingKey,
  nowMs: number,
): KnownFrame {
  const address = streamAddress(snapshot, environment, key, nowMs);
  const window = tokenWindow(nowMs);
  const metadata = { environment: environment.environment, revision: environment.changedAt };
  const streams =
    address === undefined
      ? []
      : [{ type: 'sse', endpoint: { requestUri: address }, inactivityDelaySec: INACTIVITY_SECONDS }];
  return {
    tagBase: tagBase(snapshot, environment, key, address === undefined ? undefined : window),
    tail: `,"metadata":${JSON.stringify(metadata)},"eventStreams":${JSON.stringify(streams)}}`,
    epoch: snapshot.epoch,
    secret: snapshot.streamSecret,
    window,
  };
}

/**
 * Without scheme and host: behind a proxy only the client knows them. `since` lets the stream tell at once of a change
 * that came between this answer and its opening.
 */
function streamAddress(
  snapshot: ServingSnapshot,
  environment: ServingEnvironment,
  key: ServingKey,
  nowMs: number,
): string | undefined {
  if (snapshot.streamSecret === undefined) return undefined;
  const grant = { keyId: key.keyId, environment: environment.environment };
  const token = makeStreamToken(grant, snapshot.streamSecret, nowMs);
  return token === undefined ? undefined : `/ofrep/v1/stream?token=${token}&since=${changeTag(snapshot, environment)}`;
}
