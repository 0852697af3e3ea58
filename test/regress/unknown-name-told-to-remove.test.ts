// `country=PL`, `rolloutPercentage` and a rule's `id` were refused with "remove it", which loses what was meant: the
// names that would be right are told instead.
import { test } from 'tap';
import { routes } from '../../src/api/routes.ts';
import { FlagCreate, KeyCreate } from '../../src/api/schemas.ts';
import { SegmentCreate } from '../../src/api/segment-schemas.ts';
import { findIssues } from '../../src/api/validate.ts';
import { readQuery } from '../../src/worker/http/query.ts';

function issueOfQuery(operationId: string, query: string): unknown {
  const route = routes.find((candidate) => candidate.operationId === operationId);
  return route === undefined ? undefined : readQuery(query, route).issues;
}

test('an unknown parameter is told the known ones, and how attributes are sent where there are any', (t) => {
  t.match(issueOfQuery('evaluateFlag', 'user_id=a&country=PL'), [
    {
      path: 'country',
      message: /not a parameter of this route; known are .*\buser_id\b.*, attr\.NAME for an attribute$/,
    },
  ]);
  t.match(issueOfQuery('listFlags', 'env=prod'), [{ path: 'env', message: /known are (?!.*attr\.).*\benvironment\b/ }]);
  t.match(issueOfQuery('livez', 'x=1'), [{ path: 'x', message: 'is not a parameter of this route; it has none' }]);
  t.end();
});

test('an unknown field is told the known ones of its object, however deep', (t) => {
  t.match(findIssues(FlagCreate, { flag_id: 'f', rolloutPercentage: 5 }), [
    { path: 'rolloutPercentage', message: /^is not a known field; known are flag_id, .*rollout_percentage/ },
  ]);
  t.same(findIssues(FlagCreate, { flag_id: 'f', rules: [{ rule_id: 'r', id: 'r' }] }), [
    { path: 'rules[0].id', message: 'is not a known field; known are rule_id, description, when, serve' },
  ]);
  t.same(findIssues(FlagCreate, { flag_id: 'f', targets: [{ variant: 'on', user_ids: [], users: [] }] }), [
    { path: 'targets[0].users', message: 'is not a known field; known are variant, user_ids' },
  ]);
  t.same(findIssues(SegmentCreate, { segment_id: 's', included: ['a'] }), [
    {
      path: 'included',
      message: 'is not a known field; known are segment_id, environment, description, match_by, when',
    },
  ]);
  t.match(findIssues(KeyCreate, { name: 'n', scopes: ['read'], scope: 'read' }), [
    { path: 'scope', message: /known are name, scopes/ },
  ]);
  t.end();
});
