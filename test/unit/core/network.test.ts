import { isIP } from 'node:net';
import fc from 'fast-check';
import { test } from 'tap';
import { compileNetworks, isCidr, isInNetworks } from '../../../src/core/network.ts';

test('a network is an address and a prefix length, IPv4 or IPv6', (t) => {
  for (const text of [
    '10.0.0.0/8',
    '10.1.2.3/8',
    '0.0.0.0/0',
    '192.0.2.7/32',
    '2001:db8::/32',
    '::/0',
    '::1/128',
    '::ffff:10.0.0.0/104',
    '::ffff:10.0.0.0/20',
    '1:2:3:4:5:6:7:8/64',
    '1::8/1',
    '1:2:3:4:5:6:1.2.3.4/128',
    '64:ff9b::1.2.3.4/96',
    'FE80::/10',
  ]) {
    t.ok(isCidr(text), text);
  }
  for (const text of [
    '',
    '/',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '10.0.0.0/1e1',
    '10.0.0.0/8.0',
    '10.0.0/8',
    '10.0.0.256/8',
    '010.0.0.0/8',
    '10.0.0.0.0/8',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    '::ffff:10.0.0.0/129',
    ':::/8',
    '1:2:3:4:5:6:7/64',
    '1:2:3:4:5:6:7:8:9/64',
    '1::2::3/64',
    '12345::/16',
    'g::/16',
    'fe80::1%eth0/64',
    ':1::/16',
    '1:/16',
    '1.2.3.4::/96',
    '::1.2.3/96',
    ' 10.0.0.0/8',
  ]) {
    t.notOk(isCidr(text), text);
  }
  t.end();
});

test('an address is told as the platform tells it', (t) => {
  const part = fc.constantFrom('', ':', '::', '0', '1', 'ffff', '10000', '1.2.3.4', '.', '256', 'g');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.array(part, { maxLength: 9 }).map((parts) => parts.join('')),
        fc.array(part, { maxLength: 9 }).map((parts) => parts.join(':')),
      ),
      (address) => isCidr(`${address}/0`) === (isIP(address) !== 0),
    ),
    { numRuns: 20_000 },
  );
  t.end();
});

const MAPPED = 0xffffn << 32n;
const anIpv4 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), fc.bigInt({ min: 0n, max: 300n }));
const anIpv6 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
  fc.bigInt({ min: 0n, max: 300n }).map((low) => (0x20010db8n << 96n) | low),
  anIpv4.map((low) => MAPPED | low),
);

function ipv4Text(address: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (address >> shift) & 255n).join('.');
}

/** Written out, with the longest run of zeros left out, or with its last part as IPv4. */
function ipv6Text(address: bigint, style: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((address >> BigInt(112 - i * 16)) & 0xffffn).toString(16));
  const full = groups.join(':');
  if (style === 0) return full.toUpperCase();
  if (style === 1) return `${groups.slice(0, 6).join(':')}:${ipv4Text(address & 0xffffffffn)}`;
  const runs = [...full.matchAll(/(?:^|:)0(?::0)*(?=:|$)/g)].map(([run]) => run).sort((a, b) => b.length - a.length);
  const run = runs[0];
  return run === undefined
    ? full
    : full
        .replace(run, ':')
        .replace(/^:(?!:)/, '::')
        .replace(/([^:]):$/, '$1::');
}

const anAddress = fc.oneof(
  anIpv4.map((address) => ({ bits: 32, address, text: ipv4Text(address) })),
  fc
    .tuple(anIpv6, fc.integer({ min: 0, max: 2 }))
    .map(([address, style]) => ({ bits: 128, address, text: ipv6Text(address, style) })),
);

const aNetwork = fc
  .tuple(anAddress, fc.nat({ max: 128 }), fc.boolean())
  .map(([{ bits, address, text }, some, isLong]) => {
    const prefix = isLong ? bits - (some % 9) : some % (bits + 1);
    return { bits, address, prefix, text: `${text}/${prefix}` };
  });

/** The network or address among the IPv4 ones, when it is mapped. */
function unmapped<T extends { bits: number; address: bigint; prefix: number }>(network: T): T {
  if (network.bits === 32 || network.prefix < 96 || network.address >> 32n !== 0xffffn) return network;
  return { ...network, bits: 32, address: network.address & 0xffffffffn, prefix: network.prefix - 96 };
}

test('an address is in a network when their first bits are the same', (t) => {
  fc.assert(
    fc.property(fc.array(aNetwork, { minLength: 1, maxLength: 6 }), anAddress, fc.nat(), (networks, other, pick) => {
      // Every second address is from one of the networks, or next to its edge.
      const from = networks[pick % networks.length] as (typeof networks)[number];
      const near = from.address ^ (1n << BigInt(Math.max(0, from.bits - from.prefix - (pick % 3))));
      const address =
        pick % 2 === 0 || near >> BigInt(from.bits) !== 0n
          ? other
          : { bits: from.bits, address: near, text: from.bits === 32 ? ipv4Text(near) : ipv6Text(near, pick % 3) };
      const wanted = unmapped({ ...address, prefix: address.bits });
      const expected = networks.map(unmapped).some(({ bits, prefix, address: start }) => {
        const shift = BigInt(bits - prefix);
        return bits === wanted.bits && start >> shift === wanted.address >> shift;
      });
      return isInNetworks(address.text, compileNetworks(networks.map(({ text }) => text))) === expected;
    }),
    { numRuns: 20_000 },
  );
  t.end();
});

test('networks are packed into as few ranges as they can be', (t) => {
  const packed = compileNetworks(['10.128.0.0/9', '10.0.0.0/9', '10.3.0.0/16', '11.0.0.0/8', '::ffff:12.0.0.0/104']);
  t.same([...packed.ipv4], [0x0a000000, 0x0cffffff]);
  t.same([...packed.ipv6], []);
  t.same(
    [...compileNetworks(['::1:0:0:0/80', '::/80', 'ffff::/16']).ipv6],
    [0, 0, 0, 0, 0, 0, 0x1ffff, 0xffffffff, 0xffff0000, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
  );
  t.end();
});
