// Connections whose key has not come yet. Anybody can open them, and the library keeps what comes of a message until it
// is whole, uncounted: so they are few, also of one address.
import { limits } from '../../limits.ts';
import { addressGroup, isOwnMachine } from '../address-group.ts';

export interface WithoutKey<T extends object> {
  hasRoom(address: string): boolean;
  add(connection: T, address: string): void;
  /** Its key has come, or it is gone. */
  remove(connection: T): void;
}

export function createWithoutKey<T extends object>(): WithoutKey<T> {
  const groups = new Map<T, string>();
  const counts = new Map<string, number>();

  return {
    hasRoom: (address) =>
      groups.size < limits.socketsUnauthenticatedMax &&
      (isOwnMachine(address) || (counts.get(addressGroup(address)) ?? 0) < limits.socketsUnauthenticatedPerAddressMax),
    add(connection, address) {
      const group = addressGroup(address);
      groups.set(connection, group);
      counts.set(group, (counts.get(group) ?? 0) + 1);
    },
    remove(connection) {
      const group = groups.get(connection);
      if (group === undefined) return;
      groups.delete(connection);
      const count = (counts.get(group) ?? 1) - 1;
      if (count === 0) counts.delete(group);
      else counts.set(group, count);
    },
  };
}
