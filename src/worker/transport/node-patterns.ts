// Which handler a request goes to, on a server that knows no routes: those registered for exactly this path, then those
// with parameters.
import type { Handler } from './transport.ts';

interface Parts {
  /** What stands before, between and behind the parameters. */
  readonly literals: readonly string[];
  readonly handler: Handler;
}

export class Patterns {
  private readonly exact = new Map<string, Handler>();
  private readonly open = new Map<string, Parts[]>();

  add(method: string, pattern: string, handler: Handler): void {
    const literals = pattern.split(/\{\w+\}/);
    if (literals.length === 1) this.exact.set(`${method} ${pattern}`, handler);
    else this.open.set(method, [...(this.open.get(method) ?? []), { literals, handler }]);
  }

  /** undefined: no route. The values of its parameters, none of them empty, go into `parameters`. */
  find(method: string, path: string, parameters: string[]): Handler | undefined {
    const candidates = this.open.get(method);
    for (let i = 0; candidates !== undefined && i < candidates.length; i++) {
      const { literals, handler } = candidates[i] as Parts;
      if (matches(literals, path, parameters)) return handler;
    }
    return this.exact.get(`${method} ${path}`);
  }
}

function matches(literals: readonly string[], path: string, parameters: string[]): boolean {
  const first = literals[0] as string;
  if (!path.startsWith(first)) return false;
  let at = first.length;
  for (let i = 1; i < literals.length; i++) {
    const literal = literals[i] as string;
    const slash = path.indexOf('/', at);
    const end = slash < 0 ? path.length : slash;
    if (end === at || !path.startsWith(literal, end)) return false;
    parameters[i - 1] = path.slice(at, end);
    at = end + literal.length;
  }
  return at === path.length;
}
