// Ways to take PostgreSQL and Redis away from nodes that are served by them, and to give them back.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Backends } from './nodes.ts';
import { signalQuietly } from './service.ts';

export interface Outage {
  readonly name: string;
  begin(): Promise<void>;
  /** Resolves when what was away is there again. */
  end(): Promise<void>;
}

/** `seconds`: how long Redis sleeps, where it cannot be woken. */
export function outagesOf({ postgres, redis, postgresProxy, redisProxy }: Backends, seconds: number): Outage[] {
  const nothing = async (): Promise<void> => {};
  let sleeping: ChildProcess | undefined;
  let killing: NodeJS.Timeout | undefined;
  return [
    { name: 'nothing', begin: nothing, end: nothing },
    { name: 'postgres stopped', begin: () => postgres.stop('immediate'), end: postgres.start },
    { name: 'redis stopped', begin: () => redis.stop('SIGKILL'), end: redis.start },
    {
      name: 'both stopped',
      begin: async () => void (await Promise.all([postgres.stop('immediate'), redis.stop('SIGKILL')])),
      end: async () => void (await Promise.all([postgres.start(), redis.start()])),
    },
    {
      name: 'redis hung (DEBUG SLEEP)',
      async begin() {
        const auth = ['-p', String(redis.port), '-a', redis.password, '--no-auth-warning'];
        sleeping = spawn('redis-cli', [...auth, 'DEBUG', 'SLEEP', String(seconds)], { stdio: 'ignore' });
      },
      async end() {
        if (sleeping?.exitCode === null) await new Promise((resolve) => sleeping?.once('exit', resolve));
      },
    },
    {
      name: 'redis hung (SIGSTOP)',
      begin: async () => void process.kill(redis.pid(), 'SIGSTOP'),
      end: async () => void process.kill(redis.pid(), 'SIGCONT'),
    },
    {
      name: 'postgres black-holed',
      begin: async () => postgresProxy.set('silent'),
      end: async () => postgresProxy.set('pass'),
    },
    {
      name: 'postgres hung (SIGSTOP)',
      begin: async () => void signalCluster(postgres.pid(), 'SIGSTOP'),
      end: async () => void signalCluster(postgres.pid(), 'SIGCONT'),
    },
    {
      name: 'LISTEN backends terminated each second',
      async begin() {
        killing = setInterval(() => void terminateListeners(), 1000);
      },
      end: async () => clearInterval(killing),
    },
    {
      name: 'hints lost',
      async begin() {
        // What carries them stands and is silent: nobody can see that a hint did not come.
        postgresProxy.alter('burgee\0', 'nobody\0');
        redisProxy.alter(':hints', ':hintz');
      },
      async end() {
        postgresProxy.alter();
        redisProxy.alter();
      },
    },
    {
      name: 'postgres 200 ms away',
      begin: async () => postgresProxy.delay(100),
      end: async () => postgresProxy.delay(0),
    },
    {
      name: 'every connection cut each second',
      async begin() {
        killing = setInterval(() => {
          postgresProxy.cut();
          redisProxy.cut();
        }, 1000);
      },
      end: async () => clearInterval(killing),
    },
  ];

  async function terminateListeners(): Promise<void> {
    await postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'");
  }
}

/** The server first, so that it starts no more of the processes that do its work; these are its children. */
function signalCluster(pid: number, signal: NodeJS.Signals): void {
  process.kill(pid, signal);
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    if (parentOf(name) === pid) signalQuietly(Number(name), signal);
  }
}

function parentOf(name: string): number {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))?.[1]);
  } catch {
    return 0;
  }
}
