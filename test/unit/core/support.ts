// Flags for tests, made by the parser as everything else is.
import { compileFlag } from '../../../src/core/compile.ts';
import type { CompiledFlag, EvaluationScope } from '../../../src/core/compiled.ts';
import { renderDocument } from '../../../src/core/document.ts';
import type { FlagDefinition, FlagDocument, Result } from '../../../src/core/model.ts';
import { createFlag } from '../../../src/core/parse.ts';

/** An environment with nothing in it, for flags that depend on none. */
export const alone: EvaluationScope = { flags: new Map(), segments: new Map() };

export function unwrap<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(JSON.stringify(result));
  return result.value;
}

/** `code path: message` of each issue; empty when it is none. */
export function refusal(result: Result<unknown>): readonly string[] {
  return result.ok ? [] : result.issues.map(({ path, message }) => `${result.code} ${path}: ${message}`);
}

export function create(raw: unknown): FlagDefinition {
  return unwrap(createFlag(raw, 'prod'));
}

export function stored(definition: FlagDefinition): FlagDocument {
  return {
    ...definition,
    version: 3,
    revision: 812,
    created_at: '2025-01-01T00:00:00.000Z',
    updated_at: '2025-01-02T00:00:00.000Z',
    updated_by: 'key_1',
  };
}

/** The stored text of a definition. */
export function documentOf(definition: FlagDefinition): string {
  return renderDocument(stored(definition));
}

export function compiled(raw: { readonly flag_id: string; readonly [name: string]: unknown }): CompiledFlag {
  const flag = compileFlag(documentOf(create(raw)), { environment: 'prod', id: raw.flag_id });
  if (flag.quarantined !== undefined) throw new Error(flag.quarantined);
  return flag;
}
