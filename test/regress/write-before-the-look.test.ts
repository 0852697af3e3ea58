// In the second between two polls a write to a store that had gone back was acknowledged, under a revision that the node
// had published already with other content: nobody served it, and nobody could tell the two apart.
import { test } from 'tap';
import type { Command, CommandOutcome, CommandRequest } from '../../src/ipc/messages.ts';
import { createCommands } from '../../src/primary/commands.ts';
import { contentOf, environmentItem } from '../support/snapshot.ts';

const { head } = contentOf(7, [environmentItem('prod', 1, 1n)]);
const BEHIND: CommandOutcome = { ok: false, code: 'STORE_WENT_BACK', detail: 'the store is at revision 5' };

function requestOf(command: Command): CommandRequest {
  return { id: 1, actor: 'test', requestId: 'request-1', idempotency: undefined, command };
}

function asking(wentBack: string | undefined) {
  const asked: CommandRequest[] = [];
  let looks = 0;
  const commands = createCommands({
    store: {
      run: async (request) => {
        asked.push(request);
        return BEHIND;
      },
    },
    sync: { reach: async () => {}, checked: async () => {}, wentBack, storeAway: undefined, lookNow: () => looks++ },
    publisher: { served: async () => {}, head },
    fence: () => {},
    settled: Promise.resolve(),
    highest: async () => 7,
    onWritten: () => {},
    warn: () => {},
    error: () => {},
  });
  return { commands, asked, looks: () => looks };
}

test('a write tells the store what was published, and a refusal makes the node look', async (t) => {
  const { commands, asked, looks } = asking(undefined);
  t.same(await commands.run(requestOf({ type: 'environment.create', body: {} })), BEHIND);
  t.match(asked, [{ seen: { epoch: head.epoch, revision: 7 } }]);
  t.equal(looks(), 1);
});

test('a node that says that its store went back accepts it, though the store grew past that', async (t) => {
  const { commands, asked } = asking('the store is at revision 5, 7 was published');
  await commands.run(requestOf({ type: 'store.accept', above: 0 }));
  t.match(asked, [{ command: { type: 'store.accept', above: 7, force: true } }]);
  t.equal(asked[0]?.seen, undefined);
});
