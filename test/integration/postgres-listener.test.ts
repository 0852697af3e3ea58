import { type Test, test } from 'tap';
import { systemClock } from '../../src/run/clock.ts';
import { createPostgresListener, type PostgresListener } from '../../src/storage/postgres-listener.ts';
import { required, skipWithout } from '../support/optional.ts';
import { findPgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { findPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';

interface Heard {
  readonly listener: PostgresListener;
  readonly hints: number[];
  readonly warnings: string[];
  /** Resolves when it has (re)connected so many times. */
  connections(count: number): Promise<void>;
  hint(revision: number): Promise<void>;
  warning(): Promise<void>;
}

function listen(t: Test, url: string): Heard {
  const hints: number[] = [];
  const warnings: string[] = [];
  let connections = 0;
  const waiters = new Set<{ isDone: () => boolean; done: () => void }>();
  const settle = (): void => {
    for (const waiter of waiters) {
      if (!waiter.isDone()) continue;
      waiters.delete(waiter);
      waiter.done();
    }
  };
  const until = (isDone: () => boolean): Promise<void> =>
    new Promise((done) => {
      waiters.add({ isDone, done });
      settle();
    });
  const listener = createPostgresListener({
    url,
    clock: systemClock,
    random: () => 0,
    onHint(revision) {
      hints.push(revision);
      settle();
    },
    onConnected() {
      connections += 1;
      settle();
    },
    warn(_fields, message) {
      warnings.push(message);
      settle();
    },
  });
  t.teardown(() => listener.close());
  listener.start();
  return {
    listener,
    hints,
    warnings,
    connections: (count) => until(() => connections >= count),
    hint: (revision) => until(() => hints.includes(revision)),
    warning: () => until(() => warnings.length > 0),
  };
}

const notify = (server: PostgresServer, payload: string): Promise<unknown> =>
  server.query('SELECT pg_notify($1, $2)', ['burgee', payload]);

const programs = findPostgres();
const bouncers = findPgBouncer();

test('hints of PostgreSQL', { skip: skipWithout(programs) }, async (t) => {
  const server = await startPostgres(required(programs));
  t.teardown(() => server.close());

  await t.test('a revision is heard, anything else is not', async (t) => {
    const heard = listen(t, server.url);
    await heard.connections(1);
    t.equal(heard.listener.connected, true);
    for (const payload of ['', 'seven', '-7', '07', '0x7', '1e3', '99999999999999999999', '7; DROP', '7']) {
      await notify(server, payload);
    }
    await server.query("SELECT pg_notify('burgee_other', '9')");
    await notify(server, '8');
    await heard.hint(8);
    t.same(heard.hints, [7, 8]);
    await heard.listener.close();
    await heard.listener.close();
    t.equal(heard.listener.connected, false);
  });

  await t.test('its backend is ended: it says so once, comes back and tells that it did', async (t) => {
    const heard = listen(t, server.url);
    await heard.connections(1);
    for (const times of [2, 3]) {
      await server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'burgee hints'",
      );
      await heard.connections(times);
    }
    await notify(server, '21');
    await heard.hint(21);
    t.same(heard.warnings.length, 1);
    t.match(heard.warnings[0], /no hints of changes; polling goes on.*57P01/);
  });

  await t.test('the server is away at start, and comes', async (t) => {
    await server.stop('immediate');
    const heard = listen(t, server.url);
    await heard.warning();
    t.match(heard.warnings[0], /nothing listens there.*ECONNREFUSED/);
    t.notMatch(heard.warnings[0], /only-for-tests|postgres:/);
    await server.start();
    await heard.connections(1);
    await notify(server, '31');
    await heard.hint(31);
  });

  await t.test('behind PgBouncer', { skip: skipWithout(bouncers) }, async (t) => {
    const { program } = required(bouncers);
    await t.test('in transaction mode nothing would be heard: said once', async (t) => {
      const bouncer = await startPgBouncer(program, server);
      t.teardown(() => bouncer.close());
      const heard = listen(t, bouncer.url);
      await heard.warning();
      t.match(heard.warnings[0], /a pooler stands before PostgreSQL/);
      t.equal(heard.listener.connected, false);
    });
    await t.test('in session mode it is', async (t) => {
      const bouncer = await startPgBouncer(program, server, 'session');
      t.teardown(() => bouncer.close());
      const heard = listen(t, bouncer.url);
      await heard.connections(1);
      await notify(server, '41');
      await heard.hint(41);
      t.same(heard.warnings, []);
    });
  });
});
