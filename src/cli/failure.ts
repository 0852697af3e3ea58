// What goes wrong in a command, as one line for whoever typed it. No line holds a URL, which may hold a password.

/** Its message is for the operator, in one line. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/** The arguments are not understood; the message says which. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The error's own words, and its cause's where they say more. */
export function describe(error: unknown): string {
  const words = new Set<string>();
  for (let at: unknown = error; at instanceof Error && words.size < 4; at = at.cause) {
    // Of an address with several numbers, each of which was tried, the first says enough.
    const [first] = at instanceof AggregateError ? (at.errors as unknown[]) : [];
    const text = (at.message || (first instanceof Error ? first.message : at.name)).split('\n')[0] as string;
    if (![...words].some((word) => word.includes(text))) words.add(text);
  }
  return withoutUrls(words.size === 0 ? String(error) : [...words].join(': '));
}

function withoutUrls(text: string): string {
  return text.replaceAll(/\b[a-z][a-z0-9+]*:\/\/\S+/gi, '(a URL)');
}
