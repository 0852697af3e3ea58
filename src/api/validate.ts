// Checks a body against its schema and says what is wrong in our words: which field, and what would be right.
import type { z } from 'zod';
import { documentLimits } from '../core/document-limits.ts';
import { at, kindOf } from '../core/issues.ts';
import type { Issue } from '../core/model.ts';

/** What is wrong with `body`; empty when it has the schema's shape. */
export function findIssues(schema: z.ZodType, body: unknown): Issue[] {
  const checked = schema.safeParse(body, { reportInput: true });
  if (checked.success) return [];
  return checked.error.issues.flatMap(toIssues).slice(0, documentLimits.issuesMax);
}

function toIssues(issue: z.core.$ZodIssue): Issue[] {
  let path = '';
  for (const step of issue.path) path = at(path, typeof step === 'number' ? step : String(step));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: at(path, key), message: 'is not a field of this document; remove it' }));
  }
  if (issue.code === 'invalid_type') {
    const wanted = TYPE_NAMES[issue.expected] ?? `a ${issue.expected}`;
    if (issue.input === undefined) return [{ path, message: `is required: ${wanted}` }];
    const found =
      typeof issue.input === 'number' && issue.expected === 'int' ? String(issue.input) : kindOf(issue.input);
    return [{ path, message: `must be ${wanted}, not ${found}` }];
  }
  if (issue.code === 'invalid_value') {
    return [{ path, message: `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}` }];
  }
  return [{ path, message: issue.message }];
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: 'an object',
  array: 'an array',
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  int: 'a whole number',
  record: 'an object',
  tuple: 'an array',
};
