// REDIS_URL, read once at the door: which kind of Redis, where, and as whom. What is wrong is said without showing any of
// it, for it may hold a password.

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export interface RedisTarget {
  readonly kind: 'standalone' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** Of the server; of a cluster some of its nodes, of Sentinel the sentinels. At least one. */
  readonly hosts: readonly RedisHost[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Always 0 for a cluster. */
  readonly database: number;
  /** Sentinel's name for the server to use; empty otherwise. */
  readonly masterName: string;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
}

interface Wrong {
  readonly wrong: string;
}

const SHAPE = /^(redis|rediss)(?:\+(sentinel|cluster))?:\/\/(?:([^@]*)@)?([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?(#.*)?$/s;
const HOST = /^(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?)\]|([A-Za-z0-9._-]{1,253}))(?::(\d{1,5}))?$/;
const PORT = 6379;
const SENTINEL_PORT = 26_379;
/** A server may have more; nobody has. */
const DATABASE_MAX = 1_023;
const HOSTS_MAX = 64;
const SENTINEL_PARAMETERS = ['db', 'sentinel_user', 'sentinel_password'] as const;

export function parseRedisUrl(text: string): { readonly target: RedisTarget } | Wrong {
  if (!/^rediss?(?:\+(?:sentinel|cluster))?:\/\//.test(text))
    return wrong('does not begin with redis://, rediss://, redis+sentinel:// or redis+cluster://');
  const parts = SHAPE.exec(text);
  if (parts === null) return wrong('is no URL');
  const [, scheme, kindText, login, hostsText, path = '', query = '', fragment] = parts;
  if (fragment !== undefined) return wrong('has a "#", which nothing may follow');
  const kind = (kindText ?? 'standalone') as RedisTarget['kind'];
  const hosts = readHosts(hostsText as string, kind === 'sentinel' ? SENTINEL_PORT : PORT);
  if ('wrong' in hosts) return hosts;
  if (kind === 'standalone' && hosts.list.length > 1)
    return wrong('names several servers, which redis+sentinel:// and redis+cluster:// may');
  const user = readLogin(login);
  if ('wrong' in user) return user;
  const parameters = readParameters(query, kind === 'sentinel' ? SENTINEL_PARAMETERS : []);
  if ('wrong' in parameters) return parameters;
  const place = readPath(kind, decode(path.slice(1)), parameters.values.get('db'));
  if ('wrong' in place) return place;
  const target: RedisTarget = {
    kind,
    tls: scheme === 'rediss',
    hosts: hosts.list,
    ...user,
    ...place,
    sentinelUsername: parameters.values.get('sentinel_user'),
    sentinelPassword: parameters.values.get('sentinel_password'),
  };
  return { target };
}

function readHosts(text: string, portByDefault: number): { readonly list: readonly RedisHost[] } | Wrong {
  if (text === '') return wrong('names no server');
  if (text.includes('@')) return wrong('has an "@" too many: within a user name or password it is written %40');
  const list: RedisHost[] = [];
  for (const part of text.split(',')) {
    const found = HOST.exec(part);
    if (found === null)
      return wrong(
        'has a server that is no host:port; within a password "/", "?" and "#" are written %2F, %3F and %23',
      );
    const port = found[3] === undefined ? portByDefault : Number(found[3]);
    if (port < 1 || port > 65_535) return wrong('has a port that is not 1 to 65535');
    list.push({ host: (found[1] ?? found[2]) as string, port });
  }
  return list.length > HOSTS_MAX ? wrong(`names more than ${HOSTS_MAX} servers`) : { list };
}

/** `user:password`, `:password`, or `user:` for one without. */
function readLogin(login: string | undefined): Pick<RedisTarget, 'username' | 'password'> | Wrong {
  if (login === undefined || login === '') return { username: undefined, password: undefined };
  const colon = login.indexOf(':');
  if (colon === -1)
    return wrong('has a user name without a password; write user:password@, or :password@ for one alone');
  const username = decode(login.slice(0, colon));
  const password = decode(login.slice(colon + 1));
  if (username === undefined || password === undefined)
    return wrong('has a "%" in its user name or password that begins no escape; "%" itself is written %25');
  if (password === '' && username !== '') return wrong('has a user name with an empty password');
  return { username: username === '' ? undefined : username, password: password === '' ? undefined : password };
}

function readParameters(
  query: string,
  known: readonly string[],
): { readonly values: ReadonlyMap<string, string> } | Wrong {
  const values = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const [name = '', ...rest] = part.split('=');
    const value = decode(rest.join('='));
    if (!known.includes(name)) {
      const are = known.length === 0 ? 'none is known here' : `known are ${known.join(', ')}`;
      return wrong(`has a parameter after "?" that is not known (${are})`);
    }
    if (value === undefined || value === '') return wrong(`has a parameter ${name} without a value`);
    values.set(name, value);
  }
  return { values };
}

function readPath(
  kind: RedisTarget['kind'],
  path: string | undefined,
  db: string | undefined,
): Pick<RedisTarget, 'database' | 'masterName'> | Wrong {
  if (path === undefined) return wrong('has a "%" in its path that begins no escape');
  if (kind === 'sentinel') {
    if (path === '' || path.includes('/'))
      return wrong('does not end in the name that the sentinels have for the server, as in /mymaster');
    const database = databaseOf(db ?? '0');
    return database === undefined
      ? wrong(`has a db that is no number from 0 to ${DATABASE_MAX}`)
      : { database, masterName: path };
  }
  const database = databaseOf(path === '' ? '0' : path);
  if (database === undefined) return wrong(`has a database after "/" that is no number from 0 to ${DATABASE_MAX}`);
  if (kind === 'cluster' && database !== 0) return wrong('has a database other than 0, the only one of a cluster');
  return { database, masterName: '' };
}

function databaseOf(text: string): number | undefined {
  return /^(?:0|[1-9]\d{0,3})$/.test(text) && Number(text) <= DATABASE_MAX ? Number(text) : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function wrong(text: string): Wrong {
  return { wrong: text };
}
