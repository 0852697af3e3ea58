// The whole service as a user runs it: processes, embedded database, signals. Needs dist (npm test builds it first).
import { test } from 'tap';
import { startLoad } from '../support/load.ts';
import { ADMIN_KEY, alive, flagWith, freePort, runToEnd, signalQuietly, startService } from '../support/service.ts';

test('a running service', async (t) => {
  const service = await startService({ workers: 2 });
  t.teardown(() => service.stop());

  await t.test('serves a write from every worker as soon as its reply is there', async (t) => {
    await flagWith(service, { flag_id: 'fresh', enabled: true });
    let stale = 0;
    for (let i = 1; i <= 50; i++) {
      const write = await service.api('/api/v1/flags/fresh', { method: 'PATCH', json: { rollout_percentage: i } });
      const revision = Number(write.headers.get('x-flags-revision'));
      t.equal(write.body.revision, revision);
      const reads = await Promise.all(
        Array.from({ length: 6 }, (_, reader) =>
          service.api(`/api/v1/flags/fresh/evaluate?user_id=u${reader % 2 === 0 ? '' : `&min_revision=${revision}`}`, {
            headers: { connection: 'close' },
          }),
        ),
      );
      stale += reads.filter(
        (read) => read.status !== 200 || read.body.version !== write.body.version || read.body.revision < revision,
      ).length;
    }
    t.equal(stale, 0);
  });

  await t.test('waits for a revision that does not come, and then says so', async (t) => {
    const { body } = await service.api('/api/v1/flags/fresh');
    const reply = await service.api(`/api/v1/flags/fresh/evaluate?user_id=u&min_revision=${body.revision + 50}`);
    t.match(reply, { status: 409, body: { code: 'REVISION_NOT_REACHED' } });
  });

  await t.test(
    'repeats the reply of a write with the same Idempotency-Key, and refuses another body under it',
    async (t) => {
      const headers = { 'idempotency-key': 'one-write' };
      const first = await service.api('/api/v1/flags/fresh', {
        method: 'PATCH',
        json: { description: 'once' },
        headers,
      });
      const again = await service.api('/api/v1/flags/fresh', {
        method: 'PATCH',
        json: { description: 'once' },
        headers,
      });
      t.equal(first.status, 200);
      t.same(again.body, first.body);
      const other = await service.api('/api/v1/flags/fresh', {
        method: 'PATCH',
        json: { description: 'twice' },
        headers,
      });
      t.match(other, { status: 422, body: { code: 'IDEMPOTENCY_MISMATCH' } });
    },
  );

  await t.test('replaces a worker that is killed, and no counter goes down', async (t) => {
    const total = async (): Promise<number> => {
      const text = await (await fetch(`${service.url}/metrics`, { headers: { 'x-api-key': ADMIN_KEY } })).text();
      return [...text.matchAll(/^burgee_requests_total\{.*\} (\d+)$/gm)].reduce(
        (sum, match) => sum + Number(match[1]),
        0,
      );
    };
    // A report is on its way at most a quarter of a second: what was seen in the text must stay.
    const before = await total();
    const victim = service.workerPids()[0] as number;
    signalQuietly(victim, 'SIGKILL');
    while (
      service.workerPids().includes(victim) ||
      !service.workerPids().every(alive) ||
      service.workerPids().length < 2
    ) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    t.ok((await total()) >= before, 'the dead worker took nothing with it');
    const serving = async (): Promise<string> =>
      (await fetch(`${service.url}/metrics`, { headers: { 'x-api-key': ADMIN_KEY } })).text();
    while (!/^burgee_workers 2$/m.test(await serving())) await new Promise((resolve) => setTimeout(resolve, 10));
  });

  await t.test('answers every request while its primary is killed, and takes a write again', async (t) => {
    const load = startLoad({
      port: service.port,
      connections: 8,
      path: '/api/v1/flags/fresh/evaluate?user_id=u',
      key: ADMIN_KEY,
      thinkMs: 1,
    });
    await load.answered(100);
    const workers = service.workerPids().sort();
    signalQuietly(service.primaryPid(), 'SIGKILL');
    await load.answered(100);
    const refused = await service.api('/api/v1/flags/fresh', { method: 'PATCH', json: { description: 'no primary' } });
    t.match(refused, { status: 503, body: { code: /STORAGE_UNAVAILABLE|OUTCOME_UNKNOWN/ } });
    let status = 503;
    for (let i = 0; status !== 200; i++) {
      status = (await service.api('/api/v1/flags/fresh', { method: 'PATCH', json: { description: `try ${i}` } }))
        .status;
      await load.answered(10);
    }
    const record = await load.stop();
    t.equal(record.failed, 0, `of ${record.requests} requests`);
    t.same(service.workerPids().sort(), workers, 'the workers are the same');
  });

  await t.test('gives a key to the command on the local socket, beside the running service', async (t) => {
    const env = { DATA_DIR: service.dataDir };
    const made = await runToEnd(['keys', 'create', '--name', 'ops', '--scopes', 'read'], env);
    t.equal(made.code, 0, made.stderr);
    const { key, key_id } = JSON.parse(made.stdout);
    const read = await fetch(`${service.url}/api/v1/flags/fresh`, { headers: { 'x-api-key': key } });
    t.equal(read.status, 200, 'it works at once');
    t.equal((await runToEnd(['keys', 'revoke', key_id], env)).code, 0);
    const after = await fetch(`${service.url}/api/v1/flags/fresh`, { headers: { 'x-api-key': key } });
    t.equal(after.status, 401, 'and not any more');
    t.match(await runToEnd(['keys', 'create', '--scopes', 'everything'], env), { code: 1, stderr: /scopes/ });
    t.match(await runToEnd(['keys', 'destroy'], env), { code: 2, stderr: /unknown command/ });
  });

  await t.test(
    'refuses a second service on its DATA_DIR, and one on its port, with exit code 3 and the owner',
    async (t) => {
      const onFolder = await runToEnd([], {
        DATA_DIR: service.dataDir,
        PORT: String(await freePort()),
        HOST: '127.0.0.1',
        BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
      });
      t.match(onFolder, { code: 3, stderr: new RegExp(`DATA_DIR.*pid ${service.launcher.pid}`) });
      const onPort = await runToEnd([], {
        DATA_DIR: t.testdir(),
        PORT: String(service.port),
        HOST: '127.0.0.1',
        BOOTSTRAP_ADMIN_KEY: ADMIN_KEY,
      });
      t.match(onPort, {
        code: 3,
        stderr: new RegExp(`port ${service.port} is owned by .*pid ${service.primaryPid()}`),
      });
      t.equal((await service.api('/api/v1/flags/fresh')).status, 200, 'and the first one is not disturbed');
    },
  );

  await t.test('wrote no key and no attribute to its log', async (t) => {
    await service.api('/api/v1/flags/fresh/evaluate', {
      method: 'POST',
      json: { user_id: 'u', attributes: { secret: 'attribute-value-4711' } },
    });
    t.notMatch(service.output(), ADMIN_KEY);
    t.notMatch(service.output(), /burgee_(admin|write|read|evaluate)_/);
    t.notMatch(service.output(), /attribute-value-4711/);
    for (const line of service.output().split('\n'))
      if (line.startsWith('{')) t.doesNotThrow(() => JSON.parse(line), line);
  });
});

test('a service that is told to end answers what is in flight, closes each connection with its reply and exits 0', async (t) => {
  const service = await startService({ workers: 2 });
  await flagWith(service, { flag_id: 'steady', enabled: true });
  const pids = [service.primaryPid(), ...service.workerPids()];
  const load = startLoad({
    port: service.port,
    connections: 8,
    path: '/api/v1/flags/steady/evaluate?user_id=u',
    key: ADMIN_KEY,
    thinkMs: 1,
  });
  await load.answered(200);
  const code = await service.stop('SIGTERM');
  const record = await load.stop();
  t.equal(code, 0);
  t.equal(record.failed, 0, `of ${record.requests} requests: ${record.reasons.join('; ')}`);
  t.notOk(pids.some(alive), 'no process is left');
});
