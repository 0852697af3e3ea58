// Checks a body against its schema and says what is wrong in our words: which field, and what would be right.
import { z } from 'zod';
import { documentLimits } from '../core/document-limits.ts';
import { at, kindOf } from '../core/issues.ts';
import type { Issue } from '../core/model.ts';

/** What is wrong with `body`; empty when it has the schema's shape. */
export function findIssues(schema: z.ZodType, body: unknown): Issue[] {
  const overlong = overlongText(body);
  if (overlong !== undefined) return [overlong];
  const checked = schema.safeParse(body, { reportInput: true });
  if (checked.success) return [];
  return checked.error.issues.flatMap((issue) => toIssues(schema, issue)).slice(0, documentLimits.issuesMax);
}

/**
 * The first text that is longer than any field of any document may be. It is refused here, where it came in: the primary,
 * which knows the bound of each field, would spend milliseconds on reading it.
 */
function overlongText(body: unknown): Issue | undefined {
  const found = findOverlong(body);
  if (found === undefined) return undefined;
  const path = found.steps.reduceRight<string>((above, step) => at(above, step), '');
  return { path, message: `must have at most ${documentLimits.valueBytesMax} characters, not ${found.length}` };
}

/** `steps` lead from the text up to the body. */
function findOverlong(value: unknown): { readonly steps: (string | number)[]; readonly length: number } | undefined {
  if (typeof value === 'string')
    return value.length > documentLimits.valueBytesMax ? { steps: [], length: value.length } : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, child] of Object.entries(value)) {
    const found = findOverlong(child);
    if (found === undefined) continue;
    found.steps.push(Array.isArray(value) ? Number(name) : name);
    return found;
  }
  return undefined;
}

function toIssues(schema: z.ZodType, issue: z.core.$ZodIssue): Issue[] {
  let path = '';
  for (const step of issue.path) path = at(path, typeof step === 'number' ? step : String(step));
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(schema, issue.path);
    const message = known.length === 0 ? 'is not a known field' : `is not a known field; known are ${known.join(', ')}`;
    return issue.keys.map((key) => ({ path: at(path, key), message }));
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

/** The fields that can be set of the object that `path` leads to; none when the schema does not say. */
function fieldsAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let here: unknown = unwrapped(schema);
  for (const step of path) {
    if (here instanceof z.ZodArray) here = unwrapped(here.element);
    else if (here instanceof z.ZodObject) here = unwrapped(here.shape[String(step)]);
    else return [];
  }
  if (!(here instanceof z.ZodObject)) return [];
  return Object.entries(here.shape).flatMap(([name, field]) => (isReadOnly(field) ? [] : [name]));
}

function isReadOnly(field: unknown): boolean {
  return field instanceof z.ZodType && field.meta()?.['readOnly'] === true;
}

function unwrapped(schema: unknown): unknown {
  let here = schema;
  while (here instanceof z.ZodOptional || here instanceof z.ZodNullable || here instanceof z.ZodDefault) {
    here = here.unwrap();
  }
  return here;
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
