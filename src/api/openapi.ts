// The OpenAPI 3.1 document, made from the route table and from the schemas that validate.
import { z } from 'zod';
import { type ErrorCode, errors } from '../errors.ts';
import * as ofrepSchemas from './ofrep-schemas.ts';
import { type QueryParameter, type Route, routes } from './routes.ts';
import * as schemas from './schemas.ts';
import * as segmentSchemas from './segment-schemas.ts';
import * as traceSchemas from './trace-schemas.ts';

type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };
type JsonMap = { [name: string]: JsonValue };

/** The document as an object of plain JSON. `version`: the service's. */
export function makeOpenApi(version: string): JsonMap {
  const paths: { [path: string]: JsonMap } = {};
  for (const route of routes) {
    for (const path of route.alias === undefined ? [route.pattern] : [route.pattern, route.alias]) {
      const item = (paths[path] ??= {});
      item[route.method.toLowerCase()] = operationOf(route, path !== route.pattern);
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Burgee',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'A feature flag service. Every reply carries X-Flags-Revision, and X-Flags-Stale while the snapshot could not be ' +
        "confirmed for 5 s. GET routes also answer HEAD. Errors are application/problem+json, under /ofrep they have that protocol's form.",
    },
    servers: [{ url: '/' }],
    tags: ['evaluation', 'ofrep', 'flags', 'segments', 'environments', 'keys', 'reports', 'service'].map((name) => ({
      name,
    })),
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
      headers: {
        'X-Flags-Revision': {
          description: 'The revision this was answered from; on a write its own.',
          schema: { type: 'integer' },
        },
        'X-Flags-Stale': {
          description: 'Seconds since the snapshot was last confirmed; only when 5 or more.',
          schema: { type: 'integer' },
        },
        ETag: { description: 'Of a document the version, quoted.', schema: { type: 'string' } },
        Location: { description: 'Where it can be read.', schema: { type: 'string' } },
        'Retry-After': { description: 'Whole seconds.', schema: { type: 'integer' } },
        RateLimit: {
          description: '"default";r=requests left;t=seconds until the window ends',
          schema: { type: 'string' },
        },
        'RateLimit-Policy': {
          description: '"default";q=requests a window;w=seconds of a window',
          schema: { type: 'string' },
        },
      },
    },
  };
}

function operationOf(route: Route, isAlias: boolean): JsonMap {
  const operation: JsonMap = {
    // An id names one operation of the document; the other address is the same operation under another name.
    operationId: isAlias ? `${route.operationId}Unprefixed` : route.operationId,
    summary: route.summary,
    tags: [route.group],
    parameters: parametersOf(route),
    responses: responsesOf(route),
    security: route.scope === undefined ? [] : [{ apiKey: [] }, { bearer: [] }],
  };
  if (route.scope !== undefined) operation['description'] = `Needs a key with the scope \`${route.scope}\`.`;
  if (route.body !== undefined) {
    const media = { schema: refTo(route.body.schema) };
    operation['requestBody'] = {
      required: !route.body.optional,
      content: route.body.mergePatch
        ? { 'application/merge-patch+json': media, 'application/json': media }
        : { 'application/json': media },
    };
  }
  if (route.upload !== undefined) {
    const { description, example } = route.upload;
    operation['requestBody'] = {
      required: true,
      description,
      content: { 'text/plain': { schema: { type: 'string' }, example } },
    };
  }
  return operation;
}

function parametersOf(route: Route): JsonValue[] {
  const parameters: JsonValue[] = [];
  for (const [, name] of route.pattern.matchAll(/\{(\w+)\}/g)) {
    const choices = route.choices?.[name ?? ''];
    const schema: JsonMap = { type: 'string', ...(choices === undefined ? {} : { enum: choices }) };
    parameters.push({ name: name ?? '', in: 'path', required: true, schema });
  }
  for (const parameter of route.query) parameters.push(queryParameter(parameter));
  if (route.attributes) {
    parameters.push({
      name: 'attr',
      in: 'query',
      style: 'form',
      explode: true,
      // Exploded, each member is a parameter of its own name, so the prefix belongs to the names.
      schema: { type: 'object', propertyNames: { pattern: '^attr\\.' }, additionalProperties: { type: 'string' } },
      example: { 'attr.country': 'PL' },
      description:
        'Attributes, each as `attr.name=value`. JSON scalars are recognised, quotes make a string, a repeated name an array, dots a path.',
    });
  }
  const header = (name: string, description: string): void => {
    parameters.push({ name, in: 'header', schema: { type: 'string' }, description });
  };
  if (route.snapshot) header('X-Flags-Min-Revision', 'As min_revision.');
  if (route.environment === 'header') header('X-Flags-Environment', 'As environment in the query.');
  if (route.ifMatch) header('If-Match', 'Only if the version is this: `"3"`; else 412.');
  if (route.ifNoneMatch) header('If-None-Match', '304 if the ETag is still this.');
  if (route.write)
    header(
      'Idempotency-Key',
      '1 to 255 visible ASCII characters; a repeated request with the same key is done once, for 24 h.',
    );
  header('X-Request-Id', 'Comes back in problems and stands in the log.');
  return parameters;
}

function queryParameter(parameter: QueryParameter): JsonMap {
  return {
    name: parameter.name,
    in: 'query',
    required: parameter.required ?? false,
    description: parameter.description,
    schema: parameterSchema(parameter),
    ...(parameter.example === undefined ? {} : { example: parameter.example }),
  };
}

function parameterSchema({ integer, boolean }: QueryParameter): JsonMap {
  if (boolean) return { type: 'boolean', default: false };
  return integer === undefined ? { type: 'string' } : { type: 'integer', ...integer };
}

function responsesOf(route: Route): JsonMap {
  const headers: JsonMap = {};
  const names = ['X-Flags-Revision', 'X-Flags-Stale'];
  const hasVersion = (route.group === 'flags' || route.group === 'segments') && route.environment !== 'each';
  if (hasVersion || route.ifNoneMatch) names.push('ETag');
  if (route.reply.status === 201) names.push('Location');
  if (route.scope !== undefined && route.scope !== 'evaluate') names.push('RateLimit', 'RateLimit-Policy');
  for (const name of names) headers[name] = { $ref: `#/components/headers/${name}` };
  const reply: JsonMap = { description: route.reply.description, headers };
  if (route.reply.schema !== undefined)
    reply['content'] = { 'application/json': { schema: refTo(route.reply.schema) } };
  else if (route.reply.mediaType !== undefined) reply['content'] = { [route.reply.mediaType]: {} };
  const responses: JsonMap = { [String(route.reply.status)]: reply };
  if (route.ifNoneMatch) responses['304'] = { description: 'The ETag is still the one in If-None-Match.' };
  for (const [status, codes] of problemsByStatus(route)) {
    responses[String(status)] = {
      description: codes.map((code) => `\`${code}\`: ${errors[code].title}`).join('\n\n'),
      headers: status === 429 ? { 'Retry-After': { $ref: '#/components/headers/Retry-After' } } : {},
      content:
        route.group === 'ofrep'
          ? { 'application/json': { schema: refTo(ofrepSchemas.OfrepFailure) } }
          : { 'application/problem+json': { schema: refTo(schemas.Problem) } },
    };
  }
  return responses;
}

/** All that a route can refuse, in order of status. */
function problemsByStatus(route: Route): Map<number, ErrorCode[]> {
  const codes = new Set<ErrorCode>(route.problems);
  codes.add('INTERNAL');
  if (route.scope !== undefined)
    for (const code of ['UNAUTHORIZED', 'RATE_LIMITED', 'SCOPE_REQUIRED', 'INVALID_REQUEST', 'NOT_READY'] as const)
      codes.add(code);
  if (route.scope !== undefined && !route.write) codes.add('OVERLOADED');
  if (route.environment !== 'none') codes.add('ENVIRONMENT_FORBIDDEN').add('ENVIRONMENT_REQUIRED');
  if (route.body !== undefined || route.upload !== undefined) codes.add('BODY_TOO_LARGE').add('UNSUPPORTED_MEDIA_TYPE');
  if (route.write) {
    for (const code of [
      'IDEMPOTENCY_RUNNING',
      'IDEMPOTENCY_MISMATCH',
      'STORAGE_UNAVAILABLE',
      'OUTCOME_UNKNOWN',
      'STORE_WENT_BACK',
    ] as const)
      codes.add(code);
  }
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...codes].sort((a, b) => errors[a].status - errors[b].status || (a < b ? -1 : 1))) {
    byStatus.set(errors[code].status, [...(byStatus.get(errors[code].status) ?? []), code]);
  }
  return byStatus;
}

// Whole documents are named like types; parts of them, in lower case, stand where they are used.
const names = new Map<z.ZodType, string>();
for (const [name, exported] of Object.entries<unknown>({
  ...schemas,
  ...ofrepSchemas,
  ...segmentSchemas,
  ...traceSchemas,
}))
  if (exported instanceof z.ZodType && /^[A-Z]/.test(name)) names.set(exported, name);

function refTo(schema: z.ZodType): JsonMap {
  return { $ref: `#/components/schemas/${names.get(schema) ?? 'unknown'}` };
}

function componentSchemas(): JsonMap {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of names) registry.add(schema, { id });
  // Checks that have no JSON Schema are left out; `meta` says in words what they hold.
  const { schemas: made } = z.toJSONSchema(registry, {
    uri: (id) => `#/components/schemas/${id}`,
    io: 'input',
    unrepresentable: 'any',
  });
  const components: JsonMap = {};
  for (const [name, schema] of Object.entries(made)) {
    const { $schema, $id, id, ...rest } = schema as unknown as JsonMap;
    components[name] = rest;
  }
  return components;
}
