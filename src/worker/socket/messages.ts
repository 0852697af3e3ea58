// The messages of a client in JSON: one closed union, read from bytes in one place.
import type { JsonObject } from '../../core/model.ts';

/** Whose flags, asked for by one message. */
export interface AskedContext {
  readonly userId: string;
  readonly attributes: JsonObject | undefined;
}

/** What a message says of the environment, and what its answer is held to. */
export interface AskedState {
  /** undefined: the key's own. */
  readonly environment: string | undefined;
  readonly minRevision: number | undefined;
}

export type ClientMessage =
  | { readonly type: 'auth'; readonly apiKey: string }
  | ({
      readonly type: 'evaluate';
      readonly id: number;
      readonly context: AskedContext;
      readonly flagIds: readonly string[] | undefined;
    } & AskedState)
  | ({
      readonly type: 'evaluate_batch';
      readonly id: number;
      readonly contexts: readonly AskedContext[];
      readonly flagIds: readonly string[] | undefined;
    } & AskedState)
  | {
      readonly type: 'subscribe';
      readonly id: number;
      readonly environment: string | undefined;
      readonly context: AskedContext;
      readonly flagIds: readonly string[] | undefined;
    }
  | { readonly type: 'watch'; readonly id: number; readonly environment: string | undefined }
  | { readonly type: 'unsubscribe'; readonly id: number }
  | ({ readonly type: 'prepare'; readonly id: number; readonly flagIds: readonly string[] | undefined } & AskedState)
  | { readonly type: 'release'; readonly handle: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'stats'; readonly id: number };
