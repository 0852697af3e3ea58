// Hot path.
// Who asks, as an evaluation's query or body says it.
import { kindOf } from '../../core/issues.ts';
import type { Issue } from '../../core/model.ts';
import { limits } from '../../limits.ts';

/** Whether this is a text that can be hashed; whether it may be empty or missing is the route's own. */
export function checkUserId(userId: unknown, path: string): Issue | undefined {
  if (typeof userId !== 'string') return { path, message: `must be a string, not ${kindOf(userId)}` };
  // A UTF-16 unit is at most three bytes.
  if (userId.length * 3 > limits.userIdBytesMax && Buffer.byteLength(userId) > limits.userIdBytesMax)
    return { path, message: `must be at most ${limits.userIdBytesMax} bytes of UTF-8` };
  return undefined;
}
