// Whom a request is said to come from, whatever a client writes into X-Forwarded-For.

import { isIP } from 'node:net';
import fc from 'fast-check';
import { test } from 'tap';
import { createClients } from '../../../../src/worker/http/client-address.ts';

const PROXY = '10.0.0.1';
const { clientOf, isTrustedProxy } = createClients(['10.0.0.0/8', '127.0.0.0/8', '2001:db8:a::/48']);

const cases: readonly (readonly [what: string, peer: string, header: string, client: string])[] = [
  ['no header', PROXY, '', PROXY],
  ['a peer that is no proxy', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['one proxy', PROXY, '198.51.100.1', '198.51.100.1'],
  ['what the client made up in front', PROXY, '1.1.1.1, 2.2.2.2, 198.51.100.1', '198.51.100.1'],
  ['a proxy before the proxy', PROXY, '1.1.1.1, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
  ['only proxies', PROXY, '10.0.0.9, 10.0.0.8', '10.0.0.9'],
  ['proxies of both families', '2001:db8:a::1', '198.51.100.1, 127.0.0.1,2001:db8:a:0::2', '198.51.100.1'],
  ['IPv6 in another spelling', PROXY, '2001:DB8:0:0::0007', '2001:db8::7'],
  ['mapped IPv4', PROXY, '::ffff:198.51.100.1', '198.51.100.1'],
  ['a mapped proxy', PROXY, '198.51.100.1,::ffff:a00:2', '198.51.100.1'],
  ['a port', PROXY, '198.51.100.1:50123', '198.51.100.1'],
  ['a port of IPv6', PROXY, '[2001:db8::7]:443', '2001:db8::7'],
  ['brackets', PROXY, '[2001:db8::7]', '2001:db8::7'],
  ['blanks', PROXY, ' \t198.51.100.1 \t', '198.51.100.1'],
  ['a word', PROXY, '1.1.1.1, unknown', PROXY],
  ['a word behind a proxy', PROXY, 'unknown, 10.0.0.7', '10.0.0.7'],
  ['an empty part', PROXY, '1.1.1.1,', PROXY],
  ['only commas', PROXY, ',,,', PROXY],
  ['a zero in front', PROXY, '010.0.0.1', PROXY],
  ['too high a number', PROXY, '256.1.1.1', PROXY],
  ['a zone', PROXY, 'fe80::1%eth0', PROXY],
  ['an unclosed bracket', PROXY, '[::1', PROXY],
  ['a name', PROXY, 'example.com', PROXY],
  ['a line that would be two', PROXY, '198.51.100.1\r\nlevel: fatal', PROXY],
  ['a connection that is gone', '', '198.51.100.1', ''],
];

for (const [what, peer, header, client] of cases) {
  test(`with ${what} the client is ${client === '' ? 'unknown' : client}`, (t) => {
    t.equal(clientOf(peer, header), client);
    t.end();
  });
}

test('without trusted proxies the header says nothing', (t) => {
  const clients = createClients([]);
  t.equal(clients.clientOf('127.0.0.1', '198.51.100.1'), '127.0.0.1');
  t.notOk(clients.isTrustedProxy('127.0.0.1'));
  t.notOk(clients.isTrustedProxy(''));
  t.end();
});

test('knows the proxies, mapped or not', (t) => {
  t.ok(isTrustedProxy('10.255.0.1'));
  t.ok(isTrustedProxy('::ffff:10.255.0.1'));
  t.ok(isTrustedProxy('2001:db8:a:1::'));
  t.notOk(isTrustedProxy('11.0.0.1'));
  t.notOk(isTrustedProxy('2001:db8:b::1'));
  t.notOk(isTrustedProxy('not an address'));
  t.end();
});

test('whatever stands in the header, an address comes out, and what stands on its left changes nothing', (t) => {
  const part = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constantFrom('10.0.0.3', '127.0.0.1', ' ', 'unknown'));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.string(), (parts, forged) => {
      const header = parts.join(',');
      const client = clientOf(PROXY, header);
      if (isIP(client) === 0) return false;
      // Once an address that is no proxy's is reached, nothing further left is looked at.
      return isTrustedProxy(client) || clientOf(PROXY, `${forged},${header}`) === client;
    }),
  );
  t.end();
});

test('a repeated header counts as one, its lines in turn', (t) => {
  const exchange = {
    remoteAddress: () => PROXY,
    eachHeader(visit: (name: string, value: string) => void): void {
      visit('x-forwarded-for', '1.1.1.1');
      visit('host', '2.2.2.2');
      visit('x-forwarded-for', '198.51.100.1');
    },
  };
  t.equal(createClients(['10.0.0.0/8']).ofExchange(exchange), '198.51.100.1');
  t.equal(createClients([]).ofExchange(exchange), PROXY);
  t.end();
});
