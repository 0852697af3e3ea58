// What is wrong with an input and where: readers collect all of it, so that one reply tells a client everything.
import { documentLimits } from './document-limits.ts';
import type { Issue } from './model.ts';

/** Adds an issue, unless there are as many as anybody reads. */
export function report(issues: Issue[], path: string, message: string): void {
  if (issues.length < documentLimits.issuesMax) issues.push({ path, message });
}

/** The path of a field or an element below `path`: `rules[0].serve`, `variants["two words"]`. */
export function at(path: string, step: string | number): string {
  if (typeof step === 'number') return `${path}[${step}]`;
  if (!/^[A-Za-z_][\w-]*$/.test(step) || step.length > QUOTED_CHARS_MAX) return `${path}[${quote(step)}]`;
  return path === '' ? step : `${path}.${step}`;
}

/** Text from a client, fit for a message: quoted, escaped and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text);
}

const QUOTED_CHARS_MAX = 64;

/** What a value is, in the words of a message: "a string", "null". */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  return `a ${typeof value}`;
}
