// Replies judged by OFREP's own OpenAPI document (test/vectors/ofrep/openapi.yaml, as published).
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

export type OfrepSchema =
  | 'serverEvaluationSuccess'
  | 'bulkEvaluationSuccess'
  | 'bulkEvaluationFailure'
  | 'evaluationFailure'
  | 'flagNotFound'
  | 'generalErrorResponse'
  | 'sseEventData';

const text = readFileSync(new URL('../vectors/ofrep/openapi.yaml', import.meta.url), 'utf8');
const { components } = parse(text) as { readonly components: { readonly schemas: Record<string, unknown> } };
// As published no value could pass: `oneOf` lists a flag without a value, which every object is, and integer beside
// number. `anyOf` is what is meant there; between a success and a failure the required members choose as well.
const schemas = JSON.parse(JSON.stringify(components.schemas).replaceAll('"oneOf":[{"$ref"', '"anyOf":[{"$ref"'));
const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { float: true, uri: true, 'date-time': true } });
ajv.addSchema({ $id: 'ofrep', components: { schemas } });

/** What is wrong with a reply; empty when it is what the document promises. */
export function schemaErrors(name: OfrepSchema, value: unknown): string[] {
  const validate = ajv.getSchema(`ofrep#/components/schemas/${name}`);
  if (validate === undefined) throw new Error(`there is no schema ${name}`);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
