// The kinds of values that variables hold: how each is read, and what is said of one that is wrong.
import { resolve } from 'node:path';
import { limits } from './limits.ts';

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

export function origins(): Value<readonly string[]> {
  return {
    allowed: 'a list like https://app.example.com,http://localhost:3000',
    parse(text) {
      const list = text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');
      if (list.length > limits.allowedOriginsMax)
        return wrong(`names ${list.length} origins, more than ${limits.allowedOriginsMax}`);
      const bad = list.find((part) => originOf(part) === undefined);
      if (bad === '*') return wrong('has "*", but every origin must be named');
      if (bad !== undefined) return wrong(`has ${show(bad)}, which is not an origin as a browser sends it`);
      return { value: Object.freeze([...new Set(list)]) };
    },
  };
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
