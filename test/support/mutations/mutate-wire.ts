// What can be done to the frames that a message travels in, where RFC 6455 says what must become of it.
import type { Random } from '../random.ts';
import { clientFrame, OPCODE } from '../raw-web-socket.ts';
import type { Payload } from './mutate-message.ts';

/**
 * answered: as the message in one frame would be. refused: by an error, or as ended. ended: the connection is closed, or cut. alive: nothing comes of it.
 * incomplete: the server can only wait.
 */
export type WireOutcome = 'answered' | 'refused' | 'ended' | 'alive' | 'incomplete';

export interface WireMutation {
  readonly name: string;
  readonly outcome: WireOutcome;
  readonly apply: (payload: Payload, random: Random) => Buffer;
}

const PING = clientFrame(OPCODE.ping, Buffer.from('are you there'));
const BODY_BYTES_MAX = 1_048_576;

export const wireMutations: readonly WireMutation[] = [
  {
    name: 'in fragments',
    outcome: 'answered',
    apply: (payload, random) => Buffer.concat(fragments(payload, random)),
  },
  {
    name: 'in fragments with pings between',
    outcome: 'answered',
    apply: (payload, random) => Buffer.concat(fragments(payload, random).flatMap((frame) => [frame, PING])),
  },
  {
    name: 'a ping and a pong before',
    outcome: 'answered',
    apply: (payload) =>
      Buffer.concat([
        PING,
        clientFrame(OPCODE.pong, Buffer.from('nobody asked')),
        clientFrame(opcodeOf(payload), payload.bytes),
      ]),
  },
  {
    name: 'fragments without an end',
    outcome: 'incomplete',
    apply: (payload, random) => Buffer.concat(fragments(payload, random).slice(0, -1)),
  },
  {
    name: 'a frame cut short',
    outcome: 'incomplete',
    apply: (payload, random) => {
      const frame = clientFrame(opcodeOf(payload), payload.bytes);
      return frame.subarray(0, 1 + random.below(frame.length - 1));
    },
  },
  {
    name: 'a length above what comes',
    outcome: 'incomplete',
    apply: (payload, random) =>
      clientFrame(opcodeOf(payload), payload.bytes, { length: payload.bytes.length + 1 + random.below(1000) }),
  },
  {
    // The server library takes the first four bytes for the mask, and waits for four more.
    name: 'a frame without a mask',
    outcome: 'incomplete',
    apply: (payload) => clientFrame(opcodeOf(payload), payload.bytes, { masked: false }),
  },
  {
    name: 'a continuation of nothing',
    outcome: 'ended',
    apply: (payload) => clientFrame(OPCODE.continuation, payload.bytes),
  },
  {
    // Of a binary one the server library makes one message with the fragments before it.
    name: 'a message inside of another',
    outcome: 'refused',
    apply: (payload) =>
      Buffer.concat([
        clientFrame(opcodeOf(payload), payload.bytes.subarray(0, 3), { fin: false }),
        clientFrame(opcodeOf(payload), payload.bytes),
      ]),
  },
  {
    name: 'reserved bits',
    outcome: 'ended',
    apply: (payload, random) =>
      clientFrame(opcodeOf(payload), payload.bytes, { reserved: random.pick([0x10, 0x20, 0x40, 0x70]) }),
  },
  {
    name: 'a reserved opcode',
    outcome: 'ended',
    apply: (payload, random) => clientFrame(random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload.bytes),
  },
  {
    name: 'a control frame in fragments',
    outcome: 'ended',
    apply: () => clientFrame(OPCODE.ping, Buffer.from('a'), { fin: false }),
  },
  {
    name: 'a control frame that is too long',
    outcome: 'ended',
    apply: (_payload, random) => clientFrame(random.pick([OPCODE.ping, OPCODE.pong, OPCODE.close]), Buffer.alloc(126)),
  },
  {
    name: 'a length of many terabytes',
    outcome: 'ended',
    apply: (payload, random) =>
      clientFrame(opcodeOf(payload), payload.bytes, { length: random.pick([2 ** 32, 2 ** 45, 2 ** 53 - 1]) }),
  },
  {
    name: 'a message over the limit',
    outcome: 'ended',
    apply: (payload, random) =>
      clientFrame(opcodeOf(payload), Buffer.alloc(BODY_BYTES_MAX + random.pick([1, 100_000, 2_000_000]), ' ')),
  },
  {
    name: 'text that is not UTF-8',
    outcome: 'ended',
    apply: (payload, random) =>
      clientFrame(
        OPCODE.text,
        Buffer.concat([payload.bytes, Buffer.from(random.pick(['ff', 'c080', 'eda080']), 'hex')]),
      ),
  },
  {
    name: 'a close frame',
    outcome: 'ended',
    apply: (_payload, random) =>
      clientFrame(
        OPCODE.close,
        random.pick(
          ['', '03e8', '03e96f6b', '0fa0', '03', '03e7', '03ed', 'ffff', '03e8ff', '0000'].map((hex) =>
            Buffer.from(hex, 'hex'),
          ),
        ),
      ),
  },
  { name: 'an empty ping', outcome: 'alive', apply: () => clientFrame(OPCODE.ping, Buffer.alloc(0)) },
  { name: 'a pong', outcome: 'alive', apply: () => clientFrame(OPCODE.pong, Buffer.alloc(125)) },
  { name: 'HTTP instead of frames', outcome: 'ended', apply: () => Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n') },
];

export function opcodeOf({ isBinary }: Payload): number {
  return isBinary ? OPCODE.binary : OPCODE.text;
}

/** Two to five, some of them empty, cut without a mind for characters. */
function fragments(payload: Payload, random: Random): readonly Buffer[] {
  const cuts = Array.from({ length: 1 + random.below(4) }, () => random.below(payload.bytes.length + 1)).sort(
    (a, b) => a - b,
  );
  const edges = [0, ...cuts, payload.bytes.length];
  return edges.slice(1).map((end, i) =>
    clientFrame(i === 0 ? opcodeOf(payload) : OPCODE.continuation, payload.bytes.subarray(edges[i], end), {
      fin: i === edges.length - 2,
    }),
  );
}
