// What a primary refuses to do for a client, whoever asks.
import { test } from 'tap';
import type { CommandRequest } from '../../../src/ipc/messages.ts';
import { createCommands } from '../../../src/primary/commands.ts';

const REQUEST = { id: 1, requestId: 'r', command: { type: 'key.create' } } as unknown as CommandRequest;

const idle = {
  settled: Promise.resolve(),
  highest: async () => 0,
  onWritten: () => {},
  warn: () => {},
  error: () => {},
};

test('a primary in whose place another one is now begins no transaction', async (t) => {
  let begun = 0;
  const commands = createCommands({
    store: {
      run: async () => {
        begun++;
        return { ok: true, status: 200, headers: {}, body: '{}', revision: 2 };
      },
    },
    ...idle,
    sync: {
      reach: async () => {},
      checked: async () => {},
      wentBack: undefined,
      storeAway: undefined,
      lookNow: () => {},
    },
    publisher: { served: async () => {}, head: undefined },
    // The process ends here; nothing after it happens.
    fence: () => {
      throw new Error('another process took DATA_DIR');
    },
  });
  t.match(await commands.run(REQUEST), { ok: false, code: 'INTERNAL' });
  t.equal(begun, 0);
});

test('an accept takes a store that has grown past what is known, if it had gone back', async (t) => {
  for (const wentBack of [undefined, 'the store is at revision 3, 9 was published']) {
    const asked: unknown[] = [];
    const commands = createCommands({
      ...idle,
      store: {
        run: async ({ command }) => {
          asked.push(command);
          return { ok: true, status: 200, headers: {}, body: '{}', revision: 20 };
        },
      },
      highest: async () => 9,
      sync: { reach: async () => {}, checked: async () => {}, wentBack, storeAway: undefined, lookNow: () => {} },
      publisher: { served: async () => {}, head: undefined },
      fence: () => {},
    });
    t.match(await commands.run({ ...REQUEST, command: { type: 'store.accept', above: 0 } }), { ok: true });
    t.same(asked, [{ type: 'store.accept', above: 9, force: wentBack !== undefined }]);
  }
});
