// What goes wrong between a node and its PostgreSQL, and what is said of it.
import { chmodSync, chownSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { ensureFirstKey } from '../../src/storage/bootstrap.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { openPostgres, type PostgresOptions } from '../../src/storage/postgres.ts';
import type { Sql } from '../../src/storage/sql.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { makeCertificate, writeCertificate } from '../support/certificate.ts';
import { required, skipWithout } from '../support/optional.ts';
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { findPostgres, otherUser, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { startProxy } from '../support/proxy.ts';
import { create, sumsOf } from './fixtures/storage.ts';

const programs = findPostgres();
const bouncers = findPgBouncer();

interface Opened {
  readonly sql: Sql;
  readonly warnings: string[];
}

function open(t: Test, url: string, more: Partial<PostgresOptions> = {}): Opened {
  const warnings: string[] = [];
  const warn = (_fields: object, message: string): void => void warnings.push(message);
  const sql = openPostgres({ url, connectionsMax: 10, timeoutMs: 1_000, random: () => 0, warn, ...more });
  t.teardown(() => sql.close());
  return { sql, warnings };
}

const withParameters = (url: string, parameters: Readonly<Record<string, string>>): string => {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value);
  return changed.href;
};

/** Asks until it is answered: the server is not asked more often than the gate lets through. */
async function answered(sql: Sql): Promise<void> {
  for (;;) {
    try {
      await sql.query('SELECT 1');
      return;
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function startSecure(): Promise<PostgresServer & { readonly caFile: string; readonly client: ClientFiles }> {
  const server = await startPostgres(required(programs));
  const { certFile, keyFile } = writeCertificate();
  const client = writeCertificate({ name: 'client' });
  const files: readonly (readonly [string, string])[] = [
    [certFile, 'server.crt'],
    [keyFile, 'server.key'],
    [client.certFile, 'clients.crt'],
  ];
  const user = otherUser();
  for (const [from, name] of files) {
    const to = join(server.folder, 'data', name);
    copyFileSync(from, to);
    chmodSync(to, 0o600);
    if (user !== undefined) chownSync(to, user.uid, user.gid);
  }
  const name = `client ${client.serialNumber}`;
  await server.query(`CREATE ROLE "${name}" LOGIN`);
  writeFileSync(
    join(server.folder, 'data', 'pg_hba.conf'),
    `hostssl all "${name}" 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n`,
  );
  for (const setting of ["ssl = 'on'", "ssl_ca_file = 'clients.crt'"])
    await server.query(`ALTER SYSTEM SET ${setting}`);
  await server.query('SELECT pg_reload_conf()');
  return { ...server, caFile: certFile, client: { ...client, name } };
}

interface ClientFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly name: string;
}

test('a node and its PostgreSQL', { skip: skipWithout(programs), timeout: 110_000 }, async (t) => {
  const server = await startSecure();
  t.teardown(() => server.close());
  const { url } = server;
  {
    const { sql } = open(t, url);
    await migrate(sql);
  }

  await t.test('what is wrong is one clear sentence without a secret', async (t) => {
    const wrong = (change: (url: URL) => void): string => {
      const changed = new URL(url);
      change(changed);
      return changed.href;
    };
    await server.query("CREATE ROLE one LOGIN PASSWORD 'secret-of-one' CONNECTION LIMIT 0");
    const cases: readonly (readonly [string, RegExp])[] = [
      [wrong((u) => void (u.password = 'secret-wrong')), /does not take this user and password \(28P01\)/],
      [wrong((u) => void (u.pathname = '/nowhere')), /there is no such database \(3D000\)/],
      [wrong((u) => void (u.port = '1')), /nothing listens there.*\(ECONNREFUSED\)/],
      [wrong((u) => void (u.hostname = 'no-such-host.invalid')), /its host name .*\((?:ENOTFOUND|EAI_AGAIN)\)/],
      [
        url.replace(/burgee:[^@]*@/, 'one:secret-of-one@'),
        /too many connections; raise its max_connections or lower DATABASE_POOL_SIZE \(53300\)/,
      ],
      [withParameters(url, { sslmode: 'verify-full', sslrootcert: '/no/such.pem' }), /\/no\/such\.pem.*is not there/],
    ];
    for (const [given, expected] of cases) {
      const { sql, warnings } = open(t, given);
      const refused = { name: 'StorageUnavailable', message: expected };
      await t.rejects(sql.query('SELECT 1'), refused);
      await t.rejects(
        sql.transaction(() => Promise.resolve()),
        refused,
        'at once, without asking again',
      );
      t.equal(sql.standing?.isUp, false);
      t.equal(warnings.length, 1, 'said once');
      t.match(warnings[0], expected);
      t.notMatch(warnings[0], /secret|only-for-tests|postgres:\/\//);
    }
  });

  await t.test('TLS: who the server is, and who the client is', async (t) => {
    const usesTls = async (given: string): Promise<unknown> =>
      (await open(t, given).sql.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))[0]?.['ssl'];
    t.equal(await usesTls(withParameters(url, { sslmode: 'verify-full', sslrootcert: server.caFile })), true);
    t.equal(await usesTls(withParameters(url, { sslmode: 'verify-ca', sslrootcert: server.caFile })), true);
    t.equal(await usesTls(withParameters(url, { sslmode: 'require' })), true);
    t.equal(await usesTls(withParameters(url, { sslmode: 'disable' })), false);
    const { certFile, keyFile, name } = server.client;
    const asClient = new URL(withParameters(url, { sslmode: 'verify-full', sslrootcert: server.caFile }));
    asClient.username = encodeURIComponent(name);
    asClient.password = '';
    await t.rejects(usesTls(asClient.href), /28000/);
    t.equal(await usesTls(withParameters(asClient.href, { sslcert: certFile, sslkey: keyFile })), true);
    const other = t.testdir({ 'ca.pem': makeCertificate().certPem });
    await t.rejects(usesTls(withParameters(url, { sslmode: 'verify-full', sslrootcert: join(other, 'ca.pem') })), {
      name: 'StorageUnavailable',
      message: /certificate is signed by .* not in sslrootcert/,
    });
    await t.rejects(usesTls(withParameters(url, { sslmode: 'verify-full' })), /not in sslrootcert/);
  });

  await t.test('a network that drops everything: nothing hangs, and no row stays locked', async (t) => {
    const proxy = await startProxy(server.port);
    t.teardown(() => proxy.close());
    const { sql, warnings } = open(t, proxy.through(url));
    await answered(sql);
    const holds = sql.transaction(async (tx) => {
      await tx.query('SELECT FROM store FOR UPDATE');
      proxy.set('silent');
      await tx.query('UPDATE store SET had_key = true');
    });
    await t.rejects(holds, { name: 'StorageUnavailable', message: /no answer in time/ });
    await t.rejects(sql.query('SELECT 1'), { name: 'StorageUnavailable', message: /no answer in time/ });
    t.equal(sql.standing?.isUp, false);
    const { sql: other } = open(t, url, { timeoutMs: 5_000 });
    // The server ends what the node left behind.
    t.same(await other.transaction((tx) => tx.query('SELECT had_key FROM store FOR UPDATE')), [{ had_key: false }]);
    proxy.set('pass');
    await answered(sql);
    t.same(warnings.length, 2);
    t.match(warnings[1], /can be used again/);
    // With TLS, too.
    const secure = open(t, withParameters(proxy.through(url), { sslmode: 'require' }));
    await answered(secure.sql);
    proxy.set('silent');
    await t.rejects(secure.sql.query('SELECT 1'), /no answer in time/);
    proxy.set('pass');
  });

  await t.test('writers that queue for the store do not keep readers from looking', async (t) => {
    const { sql } = open(t, url, { timeoutMs: 5_000 });
    const store = createStore(sql);
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { sql: operator } = open(t, url, { timeoutMs: 5_000 });
    const held = operator.transaction(async (tx) => {
      await tx.query('SELECT FROM store FOR UPDATE');
      await released;
    });
    const outcomes = Array.from({ length: 30 }, (_, id) =>
      store.run({ id, actor: 'a', requestId: '', idempotency: undefined, command: create(`queued-${id}`) }),
    );
    while ((sql.standing?.waiting ?? 0) < 20) await store.readHead();
    t.ok(await store.readAll());
    release();
    await held;
    t.same(
      (await Promise.all(outcomes)).filter(({ ok }) => !ok),
      [],
    );
    t.ok((sql.standing?.connections ?? 99) <= 10);
  });

  await t.test('backends are ended under use: the process lives, the next statement finds another', async (t) => {
    const { sql } = open(t, url);
    await answered(sql);
    const ended = sql.transaction(async (tx) => {
      await tx.query('SELECT 1');
      await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'burgee'");
      await tx.query('SELECT 1');
    });
    await t.rejects(ended, /57P01|57|cut|shut down|terminating/);
    await answered(sql);
    await t.resolves(sql.transaction((tx) => tx.query('SELECT 1')));
  });

  await t.test('a COMMIT that no replica confirms is not acknowledged', async (t) => {
    const { sql } = open(t, url);
    await sql.query('SELECT 1');
    await server.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await server.query('SELECT pg_reload_conf()');
    const write = (): Promise<unknown> => sql.transaction((tx) => tx.query('UPDATE store SET had_key = had_key'));
    const refused = { name: 'OutcomeUnknown', message: /kept from waiting for its replicas/ };
    const cancelled = t.rejects(write(), refused);
    const waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while ((await server.query(`SELECT 1 ${waiting}`)).length === 0);
    await server.query(`SELECT pg_cancel_backend(pid) ${waiting}`);
    await cancelled;
    await t.rejects(write(), { name: 'OutcomeUnknown', message: /no answer in time/ });
    await server.query('ALTER SYSTEM RESET synchronous_standby_names');
    await server.query('SELECT pg_reload_conf()');
    await answered(sql);
    await t.resolves(write());
  });

  await t.test('a standby is not read', async (t) => {
    await server.stop();
    const signal = join(server.folder, 'data', 'standby.signal');
    writeFileSync(signal, '');
    await server.start();
    const { sql } = open(t, url);
    await t.rejects(sql.query('SELECT 1'), { name: 'StorageUnavailable', message: /standby.*primary \(25006\)/ });
    await server.stop();
    rmSync(signal);
    await server.start();
    await answered(sql);
  });

  await t.test('behind PgBouncer in transaction mode', { skip: skipWithout(bouncers) }, async (t) => {
    const bouncer = await startPgBouncer(required(bouncers).program, server);
    t.teardown(() => bouncer.close());
    const { sql } = open(t, bouncer.url, { timeoutMs: 5_000 });
    t.same(await migrate(sql), []);
    const store = createStore(sql);
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, async (_, id) => {
        await store.readHead();
        return store.run({ id, actor: 'a', requestId: '', idempotency: undefined, command: create(`bouncer-${id}`) });
      }),
    );
    t.ok(outcomes.every(({ ok }) => ok));
    const content = await store.readAll();
    t.match(content.head, sumsOf(content));
  });

  await t.test('eight nodes at once on an empty database: migrated once, one first key, nobody fails', async (t) => {
    const empty = await server.createDatabase('empty');
    const bootstrapAdminKey = 'first-key-of-thirty-two-characters';
    const made = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { sql } = open(t, empty, { connectionsMax: 4, timeoutMs: 5_000 });
        const applied = await migrate(sql);
        return { applied, ...(await ensureFirstKey(sql, { bootstrapAdminKey })) };
      }),
    );
    const applied = made.flatMap((each) => each.applied).sort();
    t.same(applied, [...new Set(applied)]);
    t.ok(applied.includes('001_store.sql'));
    t.equal(made.filter(({ created }) => created).length, 1);
  });

  await t.test('no look is torn by writers on several nodes', async (t) => {
    const nodes = [1, 2, 3].map(() => createStore(open(t, url, { timeoutMs: 5_000 }).sql));
    const reader = createStore(open(t, url, { timeoutMs: 5_000 }).sql);
    let writing = true;
    const items = new Map<string, bigint>();
    const start = await reader.readAll();
    for (const item of start.items) items.set(`${item.kind} ${item.environment} ${item.id}`, item.tag);
    const writers = nodes.map(async (store, node) => {
      for (let i = 0; i < 25; i++) {
        const outcome = await store.run({
          id: i,
          actor: `node-${node}`,
          requestId: '',
          idempotency: undefined,
          command: create(`torn-${node}-${i}`),
        });
        if (!outcome.ok) throw new Error(outcome.detail);
        if (i % 3 === 0)
          await server.query(
            `INSERT INTO api_keys (key_id, key_hash, name, rate_limit) VALUES ('torn-${node}-${i}', md5('${node}-${i}') || md5('k'), 'n', 1)`,
          );
      }
    });
    const done = Promise.all(writers).finally(() => {
      writing = false;
    });
    let revision = start.head.revision;
    let looks = 0;
    while (writing || looks === 0) {
      const all = await reader.readAll();
      t.match(all.head, sumsOf(all));
      const delta = await reader.readSince(revision);
      if (delta === undefined) throw new Error('no delta');
      for (const { kind, environment, id } of delta.removes) items.delete(`${kind} ${environment} ${id}`);
      for (const item of delta.puts) items.set(`${item.kind} ${item.environment} ${item.id}`, item.tag);
      const sum = [...items.values()].reduce((a, b) => a ^ b, 0n);
      t.equal(sum, delta.head.sumKeys ^ delta.head.sumRest, 'what a follower has adds up');
      revision = delta.head.revision;
      looks += 1;
    }
    await done;
  });
});
