// What subscriptions keep in memory, in bytes, so that it has a bound: texts of their contexts, and the lists of flags
// that they name, which a connection pays once however many of its subscriptions name the same.
import type { JsonObject } from '../../core/model.ts';
import { limits } from '../../limits.ts';
import type { Connection } from './connection.ts';
import { createFlagLists, type SharedList } from './flag-lists.ts';

export interface Charged {
  readonly userId: string;
  /** As JSON, which takes a fraction of the objects' memory; an object where JSON would lose something. */
  readonly attributes: string | JsonObject | undefined;
  readonly flags: SharedList | undefined;
}

export interface SubscriptionAccounts {
  /** undefined: past a bound, and nothing was kept. */
  charge(
    connection: Connection,
    context: { readonly userId: string; readonly attributes: JsonObject | undefined },
    flagIds: readonly string[] | undefined,
  ): Charged | undefined;
  /** Once for each that was charged. */
  release(connection: Connection, charged: Charged): void;
  /** Of all connections. */
  readonly bytes: number;
}

interface Account {
  bytes: number;
  readonly lists: Map<SharedList, number>;
}

export function createSubscriptionAccounts(): SubscriptionAccounts {
  const accounts = new Map<Connection, Account>();
  const lists = createFlagLists();
  let bytesOfAll = 0;

  function release(connection: Connection, charged: Charged): void {
    const account = accounts.get(connection);
    if (account === undefined) return;
    let bytes = bytesOfContext(charged);
    const { flags } = charged;
    if (flags !== undefined) {
      const uses = (account.lists.get(flags) ?? 0) - 1;
      if (uses > 0) account.lists.set(flags, uses);
      else {
        account.lists.delete(flags);
        bytes += bytesOfList(flags);
      }
      lists.release(flags);
    }
    account.bytes -= bytes;
    bytesOfAll -= bytes;
    if (account.bytes === 0) accounts.delete(connection);
  }

  return {
    charge(connection, { userId, attributes }, flagIds) {
      const flags = flagIds === undefined ? undefined : lists.take(flagIds);
      const charged = { userId, attributes: textOf(attributes), flags };
      let account = accounts.get(connection);
      if (account === undefined) accounts.set(connection, (account = { bytes: 0, lists: new Map() }));
      let bytes = bytesOfContext(charged);
      if (flags !== undefined) {
        const uses = account.lists.get(flags) ?? 0;
        account.lists.set(flags, uses + 1);
        if (uses === 0) bytes += bytesOfList(flags);
      }
      account.bytes += bytes;
      bytesOfAll += bytes;
      if (account.bytes <= limits.subscriptionBytesPerSocketMax && bytesOfAll <= limits.subscriptionBytesMax)
        return charged;
      release(connection, charged);
      return undefined;
    },
    release,
    get bytes() {
      return bytesOfAll;
    },
  };
}

/** JSON has no text for a number that was too large for a double, and would say null. */
function textOf(attributes: JsonObject | undefined): Charged['attributes'] {
  if (attributes === undefined) return undefined;
  const text = JSON.stringify(attributes);
  return text.includes('null') ? attributes : text;
}

/** Of attributes that are kept as objects: an empty list of two characters takes some 40 bytes. */
const OBJECT_BYTES_PER_CHARACTER = 20;
/** Of a list beside its text: an array, a set, and its place among all lists. */
const LIST_BYTES = 512;
/** Of a subscription itself, with its place among those of its connection. */
const SUBSCRIPTION_BYTES = 128;

function bytesOfContext({ userId, attributes }: Charged): number {
  const own = SUBSCRIPTION_BYTES + Buffer.byteLength(userId);
  if (attributes === undefined) return own;
  if (typeof attributes === 'string') return own + Buffer.byteLength(attributes);
  return own + JSON.stringify(attributes).length * OBJECT_BYTES_PER_CHARACTER;
}

function bytesOfList({ textBytes }: SharedList): number {
  // In an array and in a set.
  return LIST_BYTES + 2 * textBytes;
}
