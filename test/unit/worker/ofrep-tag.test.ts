import { test } from 'tap';
import type { EvaluationContext } from '../../../src/core/compiled.ts';
import { createHashText } from '../../../src/snapshot/checksum.ts';
import { tagBase, tagOf as tagOfContext } from '../../../src/worker/routes/ofrep-tag.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../../../src/worker/serving.ts';

const hashText = await createHashText();

interface Parts {
  readonly epoch: string;
  readonly environment: string;
  readonly changedAt: number;
  readonly keyId: string;
  readonly tags: readonly string[] | undefined;
  readonly window: number | undefined;
  readonly context: EvaluationContext;
}

const PARTS: Parts = {
  epoch: 'e1',
  environment: 'prod',
  changedAt: 7,
  keyId: 'key_1',
  tags: ['a', 'b'],
  window: 3,
  context: { userId: 'u1', attributes: { country: 'PL', nested: { x: 1, y: [1, 2] } } },
};

/** Only what a tag is made of. */
function tagOf(changes: Partial<Parts>): string {
  const { epoch, environment, changedAt, keyId, tags, window, context } = { ...PARTS, ...changes };
  const base = tagBase(
    { epoch } as ServingSnapshot,
    { environment, changedAt } as ServingEnvironment,
    { keyId, tags: tags === undefined ? undefined : new Set(tags) } as unknown as ServingKey,
    window,
  );
  return tagOfContext(base, context, hashText);
}

test('the tag of a bulk answer moves with each thing that the answer depends on', (t) => {
  const { context } = PARTS;
  const changed: readonly Partial<Parts>[] = [
    { epoch: 'e2' },
    { environment: 'dev' },
    { changedAt: 8 },
    { keyId: 'key_2' },
    { tags: ['a'] },
    { tags: [] },
    { tags: undefined },
    { window: 4 },
    { window: undefined },
    { context: { ...context, userId: 'u2' } },
    { context: { ...context, attributes: undefined } },
    { context: { ...context, attributes: { country: 'PL', nested: { x: 1, y: [2, 1] } } } },
    { context: { ...context, attributes: { country: 'PL', nested: { x: '1', y: [1, 2] } } } },
  ];
  const tags = new Set([tagOf({}), ...changed.map(tagOf)]);
  t.equal(tags.size, changed.length + 1);
  t.end();
});

test('it does not move with the order of tags or of names', (t) => {
  t.equal(tagOf({ tags: ['b', 'a'] }), tagOf({}));
  const attributes = { nested: { y: [1, 2], x: 1 }, country: 'PL' };
  t.equal(tagOf({ context: { userId: 'u1', attributes } }), tagOf({}));
  t.end();
});
