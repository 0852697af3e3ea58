// REDIS_URL: what it may say, and what is said of one that is wrong.
import { test } from 'tap';
import { parseRedisUrl, type RedisTarget } from '../../src/redis-url.ts';

const good: readonly (readonly [url: string, target: Partial<RedisTarget>])[] = [
  [
    'redis://h',
    { kind: 'standalone', tls: false, hosts: [{ host: 'h', port: 6379 }], database: 0, password: undefined },
  ],
  ['redis://h:1/', { hosts: [{ host: 'h', port: 1 }], database: 0 }],
  ['redis://:p%40%2F%25@h:6380/15', { username: undefined, password: 'p@/%', database: 15 }],
  ['redis://:p#a/b?c@h', { password: 'p#a/b?c', hosts: [{ host: 'h', port: 6379 }] }],
  ['rediss://u:p:q@[::1]:6380', { tls: true, username: 'u', password: 'p:q', hosts: [{ host: '::1', port: 6380 }] }],
  [
    'redis+cluster://u:p@a:1,b',
    {
      kind: 'cluster',
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 6379 },
      ],
    },
  ],
  ['rediss+cluster://a', { kind: 'cluster', tls: true }],
  [
    'redis+sentinel://:p@a,b:2/my-master?db=3&sentinel_user=s&sentinel_password=t%26',
    {
      kind: 'sentinel',
      hosts: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 2 },
      ],
      masterName: 'my-master',
      database: 3,
      password: 'p',
      sentinelUsername: 's',
      sentinelPassword: 't&',
    },
  ],
];

const bad: readonly (readonly [url: string, why: RegExp])[] = [
  ['', /does not begin with redis:/],
  ['h:6379', /does not begin with redis:/],
  ['http://h', /does not begin with redis:/],
  ['redis:/h', /does not begin with redis:/],
  ['redis://', /names no server/],
  ['redis://:pa@ss@h', /%40/],
  ['redis://h#x', /"#"/],
  ['redis://:pa%ss@h', /%25/],
  ['redis://user@h', /user name without a password/],
  ['redis://user:@h', /empty password/],
  ['redis://h:0', /port/],
  ['redis://h:65536', /port/],
  ['redis://h h', /no host:port/],
  ['redis://h/x', /database after/],
  ['redis://h/1024', /database after/],
  ['redis://a,b', /several servers/],
  ['redis://h?db=1', /not known/],
  ['redis+cluster://a/1', /other than 0/],
  ['redis+sentinel://a', /name that the sentinels/],
  ['redis+sentinel://a/m?db=x', /db that is no number/],
  ['redis+sentinel://a/m?nodes=1', /not known/],
  ['redis+sentinel://a/m?db=', /without a value/],
  [`redis+cluster://${'a,'.repeat(64)}a`, /more than 64/],
];

test('a URL says which Redis, where and as whom', (t) => {
  for (const [url, target] of good) {
    const parsed = parseRedisUrl(url);
    t.hasStrict('target' in parsed ? parsed.target : parsed, target, url);
  }
  t.end();
});

test('of a wrong one it is said what is wrong, and nothing of it is shown', (t) => {
  for (const [url, why] of bad) {
    const parsed = parseRedisUrl(url);
    t.match('wrong' in parsed ? parsed.wrong : 'taken', why, url);
    t.notMatch('wrong' in parsed ? parsed.wrong : '', /pa.ss/);
  }
  t.end();
});
