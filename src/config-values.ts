// The kinds of values that variables hold: how each is read, and what is said of one that is wrong.
import { resolve } from 'node:path';
import { compileNetworks, isCidr } from './core/network.ts';
import { limits } from './limits.ts';
import { parseRedisUrl } from './redis-url.ts';

export type Parsed<T> = { readonly value: T } | { readonly wrong: string };

interface Value<T> {
  /** To end "must be ...". */
  readonly allowed: string;
  /** `wrong` goes on after the name and the value. */
  readonly parse: (text: string) => Parsed<T>;
}

const WHOLE_NUMBER = /^(0|[1-9]\d{0,15})$/;
const HOST = /^[A-Za-z0-9._:%-]{1,253}$/;
// What a header can carry.
const HEADER_TEXT = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

export function integer(from: number, to: number, unit = ''): Value<number> {
  const suffix = unit === '' ? '' : ` ${unit}`;
  return {
    allowed: `a whole number, ${from} to ${to}${suffix}`,
    parse(text) {
      if (!WHOLE_NUMBER.test(text)) return wrong('is not a whole number in decimal digits');
      const value = Number(text);
      if (value < from) return wrong('is too low');
      return value > to ? wrong('is too high') : { value };
    },
  };
}

export function choice<const T extends string>(allowed: readonly T[]): Value<T> {
  return {
    allowed: `one of ${allowed.join(', ')}`,
    parse(text) {
      const value = allowed.find((each) => each === text);
      return value === undefined ? wrong('is none of them') : { value };
    },
  };
}

export function host(): Value<string> {
  return {
    allowed: 'an IP address or a host name, without a port',
    parse: (text) => (HOST.test(text) ? { value: text } : wrong('is no address')),
  };
}

/** Made absolute. */
export function path(): Value<string> {
  return {
    allowed: 'a path',
    parse: (text) => (text.includes('\0') ? wrong('contains a NUL character') : { value: resolve(text) }),
  };
}

export function secretKey(): Value<string> {
  return {
    allowed: `${limits.keyCharsMin} to ${limits.keyCharsMax} printable ASCII characters, no space at either end`,
    parse(text) {
      if (text.length < limits.keyCharsMin) return wrong(`has only ${text.length} characters`);
      if (text.length > limits.keyCharsMax) return wrong(`has ${text.length} characters`);
      return HEADER_TEXT.test(text) ? { value: text } : wrong('has a character that a header cannot carry');
    },
  };
}

/** As libpq has them, less those that fall back to plain text when they like. */
const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full', 'no-verify'];

/** What can be seen without asking the server. Never shown. */
export function databaseUrl(): Value<string> {
  return {
    allowed: 'a URL like postgres://user:password@host:5432/database',
    parse(text) {
      if (!/^postgres(?:ql)?:\/\//.test(text)) return wrong('does not begin with postgres://');
      if (/^[^/]*\/\/[^/]*,/.test(text))
        return wrong('names several hosts, where one address must lead to the primary');
      if (!URL.canParse(text)) return wrong('is no URL; in a password write @ / : ? # % as %40 %2F %3A %3F %23 %25');
      const given = new URL(text).searchParams;
      const mode = given.get('sslmode');
      if (mode !== null && !SSL_MODES.includes(mode)) {
        return wrong(`has sslmode=${show(mode)}, which is none of ${SSL_MODES.join(', ')}`);
      }
      if (mode === 'verify-ca' && !given.has('sslrootcert')) {
        return wrong(
          'has sslmode=verify-ca without sslrootcert, by which anybody could be the server; use verify-full',
        );
      }
      return { value: text };
    },
  };
}

export function redisUrl(): Value<string> {
  return {
    allowed:
      'a URL like redis://user:password@host:6379/0, rediss:// for TLS, redis+sentinel://host:26379,host:26379/name or redis+cluster://host:6379,host:6379',
    parse(text) {
      const parsed = parseRedisUrl(text);
      return 'wrong' in parsed ? parsed : { value: text };
    },
  };
}

export function origins(): Value<readonly string[]> {
  return {
    allowed: 'a list like https://app.example.com,http://localhost:3000',
    parse(text) {
      const list = listed(text);
      if (list.length > limits.allowedOriginsMax)
        return wrong(`names ${list.length} origins, more than ${limits.allowedOriginsMax}`);
      const bad = list.find((part) => originOf(part) === undefined);
      if (bad === '*') return wrong('has "*", but every origin must be named');
      if (bad !== undefined) return wrong(`has ${show(bad)}, which is not an origin as a browser sends it`);
      return { value: Object.freeze([...new Set(list)]) };
    },
  };
}

/** Names of networks, for what is nearly always meant. */
const PROXY_WORDS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** As networks, words and single addresses too. */
export function proxies(): Value<readonly string[]> {
  return {
    allowed:
      'a list of IP addresses, networks and the words loopback and private, like loopback,10.1.0.0/16,2001:db8::7',
    parse(text) {
      const parts = listed(text);
      if (parts.length > limits.trustedProxiesMax)
        return wrong(`names ${parts.length} proxies, more than ${limits.trustedProxiesMax}`);
      const networks: string[] = [];
      for (const part of parts) {
        const found = Object.hasOwn(PROXY_WORDS, part) ? PROXY_WORDS[part] : networkOf(part);
        if (found === undefined) return wrong(`has ${show(part)}, which is no address, network or word that is known`);
        if (found.some(isTooWide))
          return wrong(`has ${show(part)}, which is too wide: anybody in it could name any address`);
        networks.push(...found);
      }
      return { value: Object.freeze([...new Set(networks)]) };
    },
  };
}

function networkOf(text: string): readonly string[] | undefined {
  const network = text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`;
  return isCidr(network) ? [network] : undefined;
}

/** Wider than /8 of IPv4 or /7 of IPv6, the widest that belong to anybody. */
function isTooWide(network: string): boolean {
  const { ipv4, ipv6 } = compileNetworks([network]);
  const addresses4 = ipv4.length === 0 ? 0 : (ipv4[1] as number) - (ipv4[0] as number) + 1;
  // Of the first 32 bits, all that can differ so far up.
  const prefixes6 = ipv6.length === 0 ? 0 : (ipv6[4] as number) - (ipv6[0] as number) + 1;
  return addresses4 > 2 ** 24 || prefixes6 > 2 ** 25;
}

/** The parts between commas, without blanks around them; empty ones do not count. */
function listed(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** The same text when it is an origin exactly as browsers write it. */
function originOf(text: string): string | undefined {
  if (!/^https?:\/\//.test(text)) return undefined;
  return URL.canParse(text) && new URL(text).origin === text ? text : undefined;
}

function wrong(text: string): { readonly wrong: string } {
  return { wrong: text };
}

/** For a message: quoted, escaped, short. */
export function show(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
