// The document is made from the table; here it is read as a client would.
import { test } from 'tap';
import { makeOpenApi } from '../../../src/api/openapi.ts';
import { routeLabels, routes } from '../../../src/api/routes.ts';
import * as schemas from '../../../src/api/schemas.ts';
import * as segmentSchemas from '../../../src/api/segment-schemas.ts';
import { findIssues } from '../../../src/api/validate.ts';
import { OPERATORS } from '../../../src/core/model.ts';

type Tree = { readonly [name: string]: unknown };
const document = JSON.parse(JSON.stringify(makeOpenApi('1.2.3'))) as Tree;

function at(path: string): unknown {
  return path
    .split('/')
    .slice(1)
    .reduce<unknown>((node, step) => (node as Tree | undefined)?.[step.replaceAll('~1', '/')], document);
}

test('every route of the table is an operation of the document', async (t) => {
  const paths = document['paths'] as Record<string, Record<string, Tree>>;
  for (const route of routes) {
    const operation = paths[route.pattern]?.[route.method.toLowerCase()];
    t.equal(operation?.['operationId'], route.operationId, `${route.method} ${route.pattern}`);
    if (route.alias !== undefined) t.ok(paths[route.alias]?.[route.method.toLowerCase()], `and at ${route.alias}`);
    t.same(operation?.['security'], route.scope === undefined ? [] : [{ apiKey: [] }, { bearer: [] }]);
  }
});

test('an operationId names one operation', async (t) => {
  const ids = JSON.stringify(document).match(/"operationId":"[^"]+"/g) ?? [];
  t.equal(new Set(ids).size, ids.length);
  t.equal(new Set(routeLabels).size, routeLabels.length, 'and a label one route');
});

test('every reference leads somewhere', async (t) => {
  const references = new Set(
    [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map((match) => match[1] ?? ''),
  );
  t.ok(references.size > 10);
  for (const reference of references) t.ok(at(reference), reference);
});

test('every route says what it refuses', async (t) => {
  for (const route of routes.filter(({ scope }) => scope !== undefined)) {
    const responses = at(
      `/paths/${route.pattern.replaceAll('/', '~1')}/${route.method.toLowerCase()}/responses`,
    ) as Tree;
    for (const status of ['400', '401', '403', '429', '500', '503'])
      t.ok(responses[status], `${route.operationId} ${status}`);
  }
});

test('whatever is answered from the snapshot can be held to a revision, in the query and by header', async (t) => {
  for (const route of routes.filter(({ snapshot }) => snapshot)) {
    t.ok(
      route.query.some(({ name }) => name === 'min_revision'),
      route.operationId,
    );
    t.ok(route.problems.includes('REVISION_NOT_REACHED'), route.operationId);
  }
});

test('a write says that it may close a circle, or that others may need what it takes away', async (t) => {
  const refusing = (code: 'CYCLE' | 'IN_USE'): string[] =>
    routes.filter(({ problems }) => problems.includes(code)).map(({ operationId }) => operationId);
  t.same(refusing('CYCLE').sort(), [
    'createSegment',
    'patchFlag',
    'patchSegment',
    'replaceFlag',
    'replaceSegment',
    'restoreFlag',
    'restoreSegment',
  ]);
  t.same(refusing('IN_USE').sort(), ['archiveFlag', 'archiveSegment', 'patchFlag', 'replaceFlag']);
});

test('attributes in a query are documented under the names that they are sent with', async (t) => {
  const parameters = at('/paths/~1api~1v1~1flags~1{flag_id}~1evaluate/get/parameters') as {
    readonly name: string;
    readonly example?: object;
  }[];
  const { example } = parameters.find(({ name }) => name === 'attr') ?? {};
  t.same(Object.keys(example ?? {}), ['attr.country'], 'exploded, it becomes attr.country=PL');
});

test('the examples of the requests have their schema', async (t) => {
  const requests = { ...schemas, ...segmentSchemas };
  for (const name of [
    'FlagCreate',
    'FlagReplace',
    'FlagPatch',
    'SegmentCreate',
    'SegmentReplace',
    'SegmentPatch',
    'SegmentMembers',
    'EnvironmentCreate',
    'KeyCreate',
    'KeyRotate',
    'EvaluateRequest',
    'BatchRequest',
  ] as const) {
    for (const example of (requests[name].meta()?.['examples'] ?? []) as unknown[])
      t.same(findIssues(requests[name], example), [], name);
  }
});

test('a condition in the documentation names every operator', async (t) => {
  const when = at('/components/schemas/FlagCreate/properties/rules/items/properties/when') as Tree;
  t.ok(String(when['description']).endsWith(` Operators: ${OPERATORS.join(', ')}.`));
  const ofSegment = JSON.stringify(at('/components/schemas/SegmentCreate/properties/when'));
  t.match(ofSegment, ` Operators: ${OPERATORS.join(', ')}.`);
});

test('what is wrong is told by field and in words', async (t) => {
  const body = JSON.parse(
    '{"flag_id":"-x","kind":"z","rollout":[{"variant":"a","percentage":"1"},{"variant":"b"}],"__proto__":1,"roll out":1}',
  );
  t.same(
    findIssues(schemas.FlagCreate, body).map(({ path }) => path),
    ['flag_id', 'kind', 'rollout[0].percentage', 'rollout[1].percentage', '__proto__', '["roll out"]'],
  );
  t.same(findIssues(schemas.FlagCreate, []), [{ path: '', message: 'must be an object, not an array' }]);
  t.match(findIssues(schemas.FlagCreate, {})[0]?.message, /is required/);
});
