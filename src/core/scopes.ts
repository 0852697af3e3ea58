// What a key may do. Each scope includes those before it.
export const SCOPES = ['evaluate', 'read', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export const RANK: Readonly<Record<Scope, number>> = { evaluate: 1, read: 2, write: 3, admin: 4 };

/** Rank of the highest scope; 0 when none is known here. */
export function rankOf(scopes: readonly string[]): number {
  return Math.max(0, ...scopes.map((scope) => SCOPES.indexOf(scope as Scope) + 1));
}
