import { once } from 'node:events';
import { test } from 'tap';
import { createSender, readFromLauncher, readToLauncher } from '../../src/launcher/channel.ts';
import { isAlive } from '../../src/run/process-identity.ts';
import { runToEnd } from '../support/service.ts';
import { fixture, identityOf, startScript, until } from '../unit/run/fixtures/support.ts';

const PRIMARY = fixture('channel-primary.ts', import.meta.url);
const LATE_PRIMARY = fixture('late-channel-primary.ts', import.meta.url);

test('a primary beats, says when it is ready, is told to drain once, and leaves the signals to its launcher', async (t) => {
  const child = startScript(t, PRIMARY);
  const heard: unknown[] = [];
  child.on('message', (message) => heard.push(message));
  // Sent before its code is loaded: it must not be lost.
  child.send({ type: 'drain', reason: 'SIGTERM' });
  const said = (type: string): object | undefined =>
    heard.find((message): message is object => (message as { type?: unknown }).type === type);
  t.same(await until(() => said('drained')), { type: 'drained', reason: 'SIGTERM' });
  t.same(said('ready'), { type: 'ready', url: 'http://127.0.0.1:8000' });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) child.kill(signal);
  for (const noise of [{ type: 'drain', reason: 'again' }, { type: 'drain' }, 'drain', 7, null, []])
    child.send(noise as object);
  const beats = (): number => heard.filter((message) => (message as { type?: unknown } | null)?.type === 'beat').length;
  const before = beats();
  await until(() => beats() >= before + 2);
  t.ok(isAlive(identityOf(child)));
  t.equal(heard.filter((message) => (message as { type?: unknown }).type === 'drained').length, 1);
});

test('a primary learns that its launcher is gone', async (t) => {
  const child = startScript(t, PRIMARY);
  await until(() => child.connected);
  await once(child, 'message');
  const exited = once(child, 'exit');
  child.disconnect();
  t.same(await exited, [42, null]);
});

test('a primary whose launcher died while it was loaded learns so, too', async (t) => {
  const child = startScript(t, LATE_PRIMARY);
  const exited = once(child, 'exit');
  child.disconnect();
  t.same(await exited, [42, null]);
});

test('a primary that nobody launched is refused', async (t) => {
  const ended = await runToEnd([], { BURGEE_ROLE: 'primary', DATA_DIR: t.testdir() });
  t.match(ended, { code: 1, stderr: /started by the launcher/ });
});

test('beats do not pile up before a receiver that is stopped, and drain is never left out', async (t) => {
  const sent: unknown[] = [];
  let flush: () => void = () => {};
  const end = {
    connected: true,
    send(message: unknown, _handle: undefined, _options: undefined, done: (error: Error | null) => void) {
      sent.push(message);
      flush = () => done(null);
      return false;
    },
  };
  const say = createSender<{ type: 'beat' } | { type: 'drain'; reason: string }>(end);
  say({ type: 'beat' });
  say({ type: 'beat' });
  t.equal(sent.length, 1);
  const flushBeat = flush;
  say({ type: 'drain', reason: 'SIGINT' });
  t.equal(sent.length, 2);
  flushBeat();
  say({ type: 'beat' });
  t.equal(sent.length, 3);
  end.connected = false;
  say({ type: 'drain', reason: 'SIGINT' });
  t.equal(sent.length, 3);
});

test('only the messages of the union are read', async (t) => {
  t.same(readToLauncher({ type: 'ready', url: 'x', more: 1 }), { type: 'ready', url: 'x' });
  for (const raw of [undefined, null, 1, 'beat', {}, { type: 'ready' }, { type: 'drain', reason: 'x' }])
    t.equal(readToLauncher(raw), undefined);
  for (const raw of [undefined, null, {}, { type: 'drain', reason: 1 }, { type: 'ready', url: 'x' }])
    t.equal(readFromLauncher(raw), undefined);
});
