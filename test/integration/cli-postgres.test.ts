import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { test } from 'tap';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import { openRedis } from '../../src/storage/redis/connection.ts';
import { createHotCopy } from '../../src/storage/redis/hot-copy.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { required, skipWithout } from '../support/optional.ts';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { prepareRedis, startRedis } from '../support/redis.ts';
import { ADMIN_KEY, MAIN, runToEnd, type Service, startService } from '../support/service.ts';

const programs = findPostgres();
const MIGRATIONS = '001_store.sql\n002_api_keys.sql\n003_segments.sql\n004_stream_secret.sql\n';

async function inDatabase<T>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as T[];
  } finally {
    await client.end();
  }
}

/** Asks until the reply is as wanted: another node follows within a poll. */
async function until(ask: () => Promise<{ status: number }>, status: number): Promise<void> {
  while ((await ask()).status !== status);
}

test('the burgee command on PostgreSQL', { skip: skipWithout(programs) }, async (t) => {
  const server = await startPostgres(required(programs));
  const folder = mkdtempSync(join(tmpdir(), 'burgee-cli-'));
  t.teardown(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const elsewhere = join(folder, 'never-made');
  const on = (url: string): Record<string, string> => ({ DATABASE_URL: url, DATA_DIR: elsewhere });
  const withKey = (service: Service, key: string): Promise<Response> =>
    fetch(`${service.url}/api/v1/flags`, { headers: { 'x-api-key': key } });

  await t.test('a dry run says what is missing and changes nothing, migrate applies it once', async (t) => {
    const env = on(server.url);
    const dry = await runToEnd(['migrate', '--dry-run'], env);
    t.match(dry, { code: 0, stdout: MIGRATIONS, stderr: /was never migrated\n.*would apply these 4 migrations/ });
    t.same(await server.query("SELECT to_regclass('schema_migrations') AS made"), [{ made: null }]);
    t.match(await runToEnd(['store', 'status'], env), { code: 1, stderr: /never migrated/ });
    t.match(await runToEnd(['migrate'], env), { code: 0, stdout: MIGRATIONS });
    for (const again of [['migrate'], ['migrate', '--dry-run']])
      t.match(await runToEnd(again, env), { code: 0, stdout: '', stderr: /nothing to apply/ });
    t.notOk(existsSync(elsewhere), 'no folder is made where no service runs');
  });

  await t.test('an edited migration, a newer version, and a role without rights are told apart', async (t) => {
    const url = await server.createDatabase('told');
    await runToEnd(['migrate'], on(url));
    const limited = new URL(url);
    limited.username = 'limited';
    await inDatabase(
      url,
      `CREATE ROLE limited LOGIN PASSWORD '${limited.password}';
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited;
       INSERT INTO schema_migrations (name, sha256) VALUES ('999_next.sql', '')`,
    );
    const newer = await runToEnd(['migrate', '--dry-run'], on(url));
    t.match(newer, {
      code: 0,
      stdout: '',
      stderr: /999_next\.sql is in the database and not in this version[^]*nothing to apply/,
    });
    const made = await runToEnd(['keys', 'create'], on(limited.href));
    t.match(
      made,
      { code: 0, stdout: /burgee_admin_/ },
      'with nothing to apply no right to change the schema is needed',
    );
    await inDatabase(url, "DELETE FROM schema_migrations WHERE name LIKE '004%'");
    const lacks = await runToEnd(['migrate'], on(limited.href));
    t.match(lacks, {
      code: 1,
      stdout: '',
      stderr: /^burgee: migration 004_stream_secret\.sql is to be applied, and this role may not.*burgee migrate.*\n$/,
    });
    await inDatabase(url, "UPDATE schema_migrations SET sha256 = 'x' WHERE name LIKE '002%'");
    t.match(await runToEnd(['migrate', '--dry-run'], on(url)), { code: 1, stderr: /002_api_keys\.sql was edited/ });
    t.match(await runToEnd(['migrate'], on(url)), {
      code: 1,
      stderr: /^burgee: migration 002_api_keys\.sql was edited.*\n$/,
    });
  });

  await t.test('a wait for another node that migrates is said', async (t) => {
    const url = await server.createDatabase('waits');
    const other = new Client({ connectionString: url });
    await other.connect();
    await other.query('BEGIN; SELECT pg_advisory_xact_lock(108256570074469)');
    const started = spawn(process.execPath, [MAIN, 'migrate'], {
      env: { PATH: process.env['PATH'], ...on(url) },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    for await (const chunk of started.stderr) {
      said += chunk;
      if (said.includes('waits')) await other.query('ROLLBACK').catch(() => {});
    }
    await other.end();
    t.match(said, /migration 001_store\.sql waits: another node migrates[^]*applied to/);
  });

  await t.test('keys work before the first start, through the service, and from elsewhere beside it', async (t) => {
    const url = await server.createDatabase('keys');
    const first = await runToEnd(['keys', 'create', '--name', 'first'], on(url));
    t.match(first, { code: 0, stderr: /^burgee: applied 001_store/ });
    const { key } = JSON.parse(first.stdout) as { key: string };
    const service = await startService({ workers: 1, env: { DATABASE_URL: url } });
    t.teardown(() => service.stop());
    t.equal((await withKey(service, key)).status, 200);
    t.equal((await withKey(service, ADMIN_KEY)).status, 401, 'a store that had a key gets no first one');

    const through = await runToEnd(['keys', 'create', '--scopes', 'read'], { DATA_DIR: service.dataDir });
    t.match(through, { code: 0, stderr: '' }, 'the service knows its store');
    t.equal((await withKey(service, JSON.parse(through.stdout).key)).status, 200, 'served when the command is done');
    t.notOk(existsSync(join(service.dataDir, 'pg')), 'no embedded database was made');

    const apart = await runToEnd(['keys', 'create', '--scopes', 'read'], on(url));
    const { key: other, key_id } = JSON.parse(apart.stdout) as { key: string; key_id: string };
    await until(() => withKey(service, other), 200);
    t.match(await runToEnd(['keys', 'revoke', key_id], on(url)), { code: 0 });
    await until(() => withKey(service, other), 401);
    const list = JSON.parse((await runToEnd(['keys', 'list'], on(url))).stdout) as { items: { created_by: string }[] };
    t.same(
      list.items.map(({ created_by }) => created_by),
      ['cli', 'cli', 'cli'],
    );
    t.match(
      await runToEnd(['store', 'status'], on(url)),
      { code: 0, stdout: /"sums_agree": true/ },
      'beside a service',
    );
    t.match(await runToEnd(['store', 'accept'], { DATA_DIR: service.dataDir }), { code: 1, stdout: '' });

    await t.test('a store that went back is accepted', async (t) => {
      const [before] = await inDatabase<{ revision: string }>(url, 'SELECT revision FROM store');
      const seen = Number(before?.revision);
      await inDatabase(
        url,
        `UPDATE store SET revision = revision - 2; DELETE FROM changes WHERE revision > ${seen - 2}`,
      );
      const write = (): Promise<{ status: number }> =>
        service.api('/api/v1/flags', { method: 'POST', json: { flag_id: 'f' }, headers: { 'x-api-key': key } });
      await until(() => service.api('/healthz', { headers: { 'x-api-key': key } }), 200);
      const refused = await runToEnd(['store', 'accept'], on(url));
      t.match(refused, { code: 1, stderr: /did not go back: it is at revision \d+, and no higher revision is known/ });
      t.match(await runToEnd(['store', 'accept', '--above', 'many'], on(url)), { code: 2 });
      const accepted = await runToEnd(['store', 'accept', '--above', String(seen)], on(url));
      t.match(accepted, { code: 0, stderr: /takes writes again/ });
      t.same(JSON.parse(accepted.stdout), { revision: seen + 1, previous_revision: seen - 2 });
      await until(write, 201);
      const forced = JSON.parse((await runToEnd(['store', 'accept', '--force'], on(url))).stdout);
      t.ok(forced.revision > seen + 1);
    });
  });

  await t.test(
    'store accept asks Redis how far the nodes had come',
    { skip: prepareRedis()?.missing ?? false },
    async (t) => {
      const url = await server.createDatabase('redis');
      await runToEnd(['migrate'], on(url));
      const redis = await startRedis();
      t.teardown(() => redis.close());
      const sql = openPostgres({ url, connectionsMax: 2 });
      const { head, items } = await createStore(sql).readKeys();
      await sql.close();
      const quiet = { info() {}, warn() {} };
      const connection = openRedis({ url: redis.url, timeoutMs: 2000, ...quiet });
      const copy = createHotCopy({ redis: connection, hash: await createHashBytes(), nodeId: 'test', ...quiet });
      copy.trust(items);
      for (;;) {
        try {
          await copy.noteSeen(head.epoch, 70);
          break;
        } catch {
          // It is still being dialled.
          await new Promise(setImmediate);
        }
      }
      await connection.close();
      const env = { ...on(url), REDIS_URL: redis.url };
      const accepted = await runToEnd(['store', 'accept'], env);
      t.match(accepted, { code: 0, stdout: /"revision": 71,/ });
      t.match(await runToEnd(['store', 'accept'], env), { code: 1, stderr: /the highest revision known is 70/ });
      await redis.stop();
      const away = await runToEnd(['store', 'accept'], env);
      t.match(away, {
        code: 1,
        stderr: /^burgee: Redis, where nodes note the highest revision, cannot be asked.*--above\n$/,
      });
      t.match(await runToEnd(['store', 'accept', '--above', '90'], env), { code: 0, stdout: /"revision": 91,/ });
    },
  );

  await t.test('what cannot be reached or is mistyped is said in one line, without the password', async (t) => {
    const wrong = (change: (url: URL) => void): Record<string, string> => {
      const url = new URL(server.url);
      change(url);
      return on(url.href);
    };
    const cases: [string, Record<string, string>][] = [
      ['password', wrong((url) => (url.password = 'a-secret-word'))],
      ['port', wrong((url) => (url.port = '1'))],
      ['host', wrong((url) => (url.hostname = 'nowhere.invalid'))],
      ['database', wrong((url) => (url.pathname = '/nothing'))],
    ];
    for (const [what, env] of cases) {
      for (const command of [['migrate'], ['keys', 'list']]) {
        const ended = await runToEnd(command, env);
        t.match(ended, { code: 1, stdout: '', stderr: /^burgee: [^\n]+\n$/ }, what);
        t.notMatch(ended.stderr, /a-secret-word|only-for-tests|postgres:\/\//, what);
      }
    }
    t.match(await runToEnd(['migrate'], on('mysql://u:pw@h/d')), {
      code: 2,
      stderr: /DATABASE_URL does not begin with postgres/,
    });
    for (const mistyped of [
      ['store'],
      ['store', 'drop'],
      ['store', 'copy', server.url],
      ['store', 'copy', '--to', 'mysql://u:only-for-tests@h/d'],
      ['migrate', '--dry'],
      ['keys', 'list', 'all'],
    ]) {
      const ended = await runToEnd(mistyped, { DATA_DIR: elsewhere });
      t.match(ended, { code: 2, stdout: '', stderr: /^burgee: .*\n\nburgee {2}/ }, mistyped.join(' '));
      t.notMatch(ended.stderr, /only-for-tests/);
    }
    t.match(await runToEnd(['store', 'copy'], { DATA_DIR: elsewhere }), { code: 2, stderr: /needs --to/ });
  });
});
