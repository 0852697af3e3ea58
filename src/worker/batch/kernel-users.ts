// Hot path.
// The users of a JSON batch as the kernel reads them.
import type { EvaluationContext } from '../../core/compiled.ts';
import type { BatchKernel } from '../../kernel/batch-kernel.ts';
import { limits } from '../../limits.ts';

const LENGTH_BYTES = 2;
const encoder = new TextEncoder();

/** What a user takes there at most; a UTF-16 unit is at most three bytes. */
export function userBytesMax(userId: string): number {
  return LENGTH_BYTES + userId.length * 3;
}

/** Whether the kernel can hash this user: there is one, of at most 65,535 bytes. */
export function fitsKernel(userId: string): boolean {
  const { length } = userId;
  if (length === 0) return false;
  return length * 3 <= limits.userIdBytesMax || Buffer.byteLength(userId) <= limits.userIdBytesMax;
}

/** Gives the users [first, first + count) to the kernel. They fit: see `userBytesMax` and `fitsKernel`. */
export function writeUsers(
  kernel: BatchKernel,
  contexts: readonly EvaluationContext[],
  first: number,
  count: number,
): void {
  const { users } = kernel;
  let at = 0;
  for (let i = first; i < first + count; i += 1) at = writeUser(users, at, (contexts[i] as EvaluationContext).userId);
  if (kernel.scan(at, count, false) !== at)
    throw new Error(`the kernel refuses user ${kernel.problemUser}: ${kernel.problem}`);
}

/** Where the next one goes. */
function writeUser(users: Uint8Array, at: number, userId: string): number {
  const { length } = userId;
  const from = at + LENGTH_BYTES;
  let to = from;
  for (let i = 0; i < length; i += 1) {
    const unit = userId.charCodeAt(i);
    if (unit >= 0x80) {
      to = from + encoder.encodeInto(userId, users.subarray(from)).written;
      break;
    }
    users[to++] = unit;
  }
  const bytes = to - from;
  users[at] = bytes & 0xff;
  users[at + 1] = bytes >> 8;
  return to;
}
