// Tests that need a program which is not everywhere are skipped by name where it is missing; on CI that is a failure.

type Found<T> = T | { readonly missing: string };

/** For a test's `skip`: why it is skipped, or false. */
export function skipWithout(found: Found<object>): string | false {
  return 'missing' in found && process.env['CI'] !== 'true' ? found.missing : false;
}

/** What was found; throws where it was not. */
export function required<T extends object>(found: Found<T>): T {
  if ('missing' in found) throw new Error(found.missing);
  return found;
}
