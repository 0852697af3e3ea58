// One spelling for each address.
import fc from 'fast-check';
import { test } from 'tap';
import { addressFromBytes, canonicalAddress } from '../../../../src/worker/transport/address.ts';

test('bytes of a connection become the text that everybody else writes', (t) => {
  const text = (hex: string): string => addressFromBytes(Buffer.from(hex, 'hex'));
  t.equal(text('7f000001'), '127.0.0.1');
  t.equal(text('cb007107'), '203.0.113.7');
  t.equal(text('00000000000000000000ffff7f000001'), '127.0.0.1', 'mapped, as on a listener of both families');
  t.equal(text('00000000000000000000000000000001'), '::1');
  t.equal(text('20010db8000000000000000000000007'), '2001:db8::7');
  t.equal(text('fe800000000000000000000000000001'), 'fe80::1');
  t.equal(text(''), '', 'a connection that is gone');
  t.end();
});

test('texts of one address become one text', (t) => {
  for (const spelling of ['2001:DB8::7', '2001:0db8:0:0:0:0:0:7', '2001:db8:0::7'])
    t.equal(canonicalAddress(spelling), '2001:db8::7');
  for (const spelling of ['::ffff:127.0.0.1', '::FFFF:7f00:1', '0:0:0:0:0:ffff:127.0.0.1', '127.0.0.1'])
    t.equal(canonicalAddress(spelling), '127.0.0.1');
  t.equal(canonicalAddress('::127.0.0.1'), canonicalAddress('::7f00:1'), 'not a mapped one');
  for (const none of ['', ' ', 'localhost', '1.2.3', '01.2.3.4', '1.2.3.4.5', '::1%lo', '[::1]', '1.2.3.4/8', ':::'])
    t.equal(canonicalAddress(none), undefined, none);
  t.end();
});

test('bytes and text agree', (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0, 1, 0xff, 0xffff), { minLength: 8, maxLength: 8 }), (groups) => {
      const bytes = Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
      return addressFromBytes(bytes) === canonicalAddress(groups.map((group) => group.toString(16)).join(':'));
    }),
  );
  t.end();
});
