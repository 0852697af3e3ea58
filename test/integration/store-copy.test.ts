import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import type { Command } from '../../src/ipc/messages.ts';
import { COPIED_TABLES, CopyRefused, copyStore } from '../../src/storage/copy.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import type { Sql } from '../../src/storage/sql.ts';
import { createStore } from '../../src/storage/sql-store.ts';
import { required, skipWithout } from '../support/optional.ts';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { at, members, openSegmentStore, patchSegment, segment } from './fixtures/segments.ts';
import { archive, create, patch, ROOT, restore } from './fixtures/storage.ts';

const programs = findPostgres();

/** Of every table how many rows there are, and a hash of all of them as PostgreSQL writes them. */
async function rowsOf(sql: Sql): Promise<Record<string, string>> {
  const rows: Record<string, string> = {};
  for (const table of COPIED_TABLES) {
    const found = await sql.transaction(async (tx) => {
      await tx.query("SELECT set_config('TimeZone', 'UTC', true)");
      return tx.query<{ row: string }>(`SELECT row_to_json(item)::text AS row FROM ${table} AS item`);
    });
    const hash = createHash('sha256');
    for (const row of found.map((each) => each.row).sort()) hash.update(`${row}\n`);
    rows[table] = `${found.length} ${hash.digest('hex')}`;
  }
  return rows;
}

/** As readAll, in an order of its own. */
async function contentOf(sql: Sql): Promise<unknown> {
  const { head, items } = await createStore(sql).readAll();
  const named = items.map((item) => [`${item.kind} ${item.environment} ${item.id}`, item] as const);
  return { head, items: named.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

const names = ['a', 'b', 'c', 'd'] as const;
const odd = 'ß 😀 \\u0000 "quoted" \\ $1 \u2028';

const arbitraryCommand: fc.Arbitrary<Command> = fc.oneof(
  fc
    .constantFrom(...names)
    .map((name) => create(name, { type: 'string', variants: { x: odd, y: '' }, off_variant: 'x' })),
  fc.tuple(fc.constantFrom(...names), fc.nat(10_000)).map(([name, n]) => patch(name, { description: `${odd}${n}` })),
  fc.constantFrom(...names).map((name) => archive(name)),
  fc.constantFrom(...names).map((name) => restore(name)),
  fc.constantFrom(...names).map((name) => segment(name, { match_by: 'company' })),
  fc.constantFrom(...names).map((name) => patchSegment(name, { description: odd })),
  fc
    .tuple(
      fc.constantFrom(...names),
      fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 9 }), { maxLength: 50 }),
    )
    .map(([name, add]) => members(name, { add })),
  fc.constantFrom(...names).map((name): Command => ({ type: 'segment.archive', ...at(name) })),
  fc.nat(1_000_000).map((n): Command => ({ type: 'environment.create', body: { environment: `e${n}` } })),
  fc.record({ tags: fc.constantFrom(undefined, ['t', 'u,"v"']), expires: fc.boolean() }).map(
    ({ tags, expires }): Command => ({
      type: 'key.create',
      grantor: ROOT,
      body: {
        name: odd,
        scopes: ['read', 'write'],
        ...(tags === undefined ? {} : { tags }),
        ...(expires ? { expires_at: '2099-01-01T00:00:00.5Z' } : {}),
      },
    }),
  ),
);

test('a store is copied whole', { skip: skipWithout(programs) }, async (t) => {
  const server = await startPostgres(required(programs));
  const dataDir = mkdtempSync(join(tmpdir(), 'burgee-copy-'));
  const source = await openSegmentStore(dataDir);
  const opened: Sql[] = [];
  t.teardown(async () => {
    for (const sql of opened) await sql.close();
    await source.store.close();
    await server.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  let made = 0;
  const newDatabase = async (): Promise<Sql> => {
    const sql = openPostgres({ url: await server.createDatabase(`copy_${++made}`), connectionsMax: 2 });
    opened.push(sql);
    return sql;
  };
  const newTarget = async (): Promise<Sql> => {
    const sql = await newDatabase();
    await migrate(sql);
    return sql;
  };

  await t.test('every table is copied, and only the audit has an identity of its own', async (t) => {
    const tables = await source.sql.query<{ name: string }>(
      "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    t.same(tables.map(({ name }) => name).sort(), [...COPIED_TABLES, 'schema_migrations'].sort());
    const identities = await source.sql.query(
      "SELECT attrelid::regclass::text AS table, attname AS column FROM pg_attribute WHERE attidentity <> '' AND attrelid > 16000",
    );
    t.same(identities, [{ table: 'audit', column: 'audit_id' }]);
  });

  await t.test('after any history the copy has the same rows, snapshot and revision', async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(arbitraryCommand, { minLength: 1, maxLength: 12 }), async (commands) => {
        for (const [i, command] of commands.entries()) {
          const idempotency = { key: `key-${made}-${i}`, fingerprint: 'f' };
          await source.ask(command, i % 3 === 0 ? { idempotency } : {});
        }
        const target = await newTarget();
        const copied = await copyStore(source.sql, target);
        t.equal(copied.revision, (await source.store.readHead()).revision);
        t.same(await rowsOf(target), await rowsOf(source.sql));
        t.same(await contentOf(target), await contentOf(source.sql));
      }),
      { numRuns: 6, endOnFailure: true, seed: Number(process.env['SEED'] ?? Date.now()) },
    );
    t.same(source.failures, []);
  });

  await t.test('ids of segments, hundreds of flags and what crosses several statements come over', async (t) => {
    const ids = Array.from(
      { length: 60_000 },
      (_, i) => `user-${i * 7}-of-a-name-that-is-long-${(i * 2_654_435_761) % 2 ** 32}`,
    );
    await source.ask(segment('big'));
    const put: Command = {
      type: 'segment.replace_members',
      ...at('big'),
      list: 'included',
      ...source.blobs.upload('big', ids),
    };
    t.match(await source.ask(put), { ok: true });
    for (let i = 0; i < 150; i++) await source.ask(create(`flag-${i}`, { description: 'x'.repeat(i * 10) }));
    const target = await newTarget();
    const told: string[] = [];
    const { rows } = await copyStore(source.sql, target, (table, count, isDone) =>
      told.push(`${table} ${count} ${isDone}`),
    );
    t.same(await rowsOf(target), await rowsOf(source.sql));
    t.ok(rows.segment_blob_chunks > 1, `${rows.segment_blob_chunks} chunks`);
    t.ok(rows.flags >= 150);
    t.ok(told.includes(`flags ${rows.flags} true`));
  });

  await t.test(
    'a copy of a copy is equal, and goes on where it was: the next write takes the next numbers',
    async (t) => {
      const first = opened.at(-1) as Sql;
      const second = await newTarget();
      await copyStore(first, second);
      t.same(await rowsOf(second), await rowsOf(first));
      const store = createStore(second);
      const before = (await store.readHead()).revision;
      const request = { id: 1, actor: 'tester', requestId: 'r', idempotency: undefined };
      t.match(await store.run({ ...request, command: create('after') }), { ok: true, revision: before + 1 });
      await second.query("INSERT INTO api_keys (key_id, key_hash) VALUES ('by-sql', repeat('b', 64))");
      t.equal((await store.readHead()).revision, before + 2, 'the trigger is at work again');
      t.match(await store.readSince(before), { puts: [{ id: 'after' }, { id: 'by-sql' }] });
      const numbers = await second.query<{ audit_id: string }>(
        'SELECT audit_id FROM audit ORDER BY audit_id DESC LIMIT 3',
      );
      t.same(
        numbers.map(({ audit_id }) => Number(audit_id) - Number(numbers[2]?.audit_id)),
        [2, 1, 0],
      );
    },
  );

  await t.test('a target that is used is refused by what it has, and is as it was', async (t) => {
    const uses: Record<string, string> = {
      flags: "INSERT INTO flags VALUES ('prod', 'f', 'boolean', '{}', 1, 1, 1, NULL, now(), now(), '')",
      'API keys': "INSERT INTO api_keys (key_id, key_hash) VALUES ('k', repeat('a', 64))",
      'a history':
        "INSERT INTO audit (revision, at, actor, action, kind, environment, id, request_id) VALUES (1, now(), 'cli', '', '', '', '', '')",
      'idempotency keys': "INSERT INTO idempotency VALUES ('k', 'h', '', 200, '', '', false, 1, now())",
    };
    for (const [what, statement] of Object.entries(uses)) {
      const target = await newTarget();
      await target.query(statement);
      const before = await rowsOf(target);
      await t.rejects(copyStore(source.sql, target), new RegExp(`the target is not empty: it has ${what}`));
      t.same(await rowsOf(target), before, what);
    }
  });

  await t.test('a copy that breaks in the middle leaves an empty target as it was', async (t) => {
    const target = await newTarget();
    const before = await rowsOf(target);
    const breaks = new Error('the disk is full');
    await t.rejects(
      copyStore(source.sql, target, (table) => {
        if (table === 'audit') throw breaks;
      }),
      breaks,
    );
    t.same(await rowsOf(target), before);
    await copyStore(source.sql, target);
    t.same(await rowsOf(target), await rowsOf(source.sql), 'and can be made again');
  });

  await t.test('what differs on the target is found', async (t) => {
    const target = await newTarget();
    await target.query(`CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.document := NEW.document || ' '; RETURN NEW; END $$;
      CREATE TRIGGER meddle BEFORE INSERT ON flag_versions FOR EACH ROW EXECUTE FUNCTION meddle()`);
    await t.rejects(
      copyStore(source.sql, target),
      /rows of flag_versions did not come over as they were; nothing was changed/,
    );
  });

  await t.test('schemas that differ are refused', async (t) => {
    const never = await newDatabase();
    await t.rejects(copyStore(source.sql, never), /the target is no database of this service/);
    await t.rejects(copyStore(never, await newTarget()), /the source is no database of this service/);
    const newer = await newTarget();
    await newer.query("INSERT INTO schema_migrations (name, sha256) VALUES ('999_next.sql', '')");
    await t.rejects(copyStore(newer, await newTarget()), /999_next\.sql is of a newer version; copy with that one/);
    const older = await newTarget();
    await older.query("DELETE FROM schema_migrations WHERE name LIKE '004%'");
    await t.rejects(copyStore(older, await newTarget()), CopyRefused);
    await t.rejects(copyStore(older, await newTarget()), /004_stream_secret\.sql differs; run `burgee migrate` on it/);
  });

  await t.test('a writer on the source goes on meanwhile and tears nothing', async (t) => {
    const from = opened[1] as Sql;
    const store = createStore(from);
    let isCopying = true;
    const writing = (async () => {
      for (let i = 0; isCopying; i++) {
        const request = { id: i, actor: 'tester', requestId: 'r', idempotency: undefined };
        await store.run({ ...request, command: create(`while-${made}-${i}`) });
      }
    })();
    const target = await newTarget();
    const { revision } = await copyStore(from, target);
    isCopying = false;
    await writing;
    t.ok((await store.readHead()).revision >= revision);
    const { head, items } = await createStore(target).readAll();
    t.equal(head.revision, revision);
    let sum = 0n;
    for (const item of items) if (item.kind !== 'key' && item.kind !== 'secret') sum ^= item.tag;
    t.equal(head.sumRest, sum);
    const [versions] = await target.query<{ newest: string }>('SELECT max(revision) AS newest FROM flag_versions');
    t.ok(Number(versions?.newest) <= revision);
  });
});
