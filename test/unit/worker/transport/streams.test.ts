// Bodies and replies in chunks, over real sockets: clients that are slow, that never read, and that go away.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Test, test } from 'tap';
import { limits } from '../../../../src/limits.ts';
import { createTransport } from '../../../../src/worker/transport/create-transport.ts';
import {
  type HeldExchange,
  makeHead,
  type ReplyStream,
  type Transport,
} from '../../../../src/worker/transport/transport.ts';
import { transportUnderTest } from '../../../support/transport.ts';

const HEAD = makeHead([['Content-Type', 'text/plain']]);
const BODY_BYTES_MAX = 32_000_000;
const UNREAD_BYTES_MAX = 65_536;

interface Server {
  readonly transport: Transport;
  readonly port: number;
  readonly failures: unknown[];
}

/** Every request is held and handed to `serve`. */
async function listen(t: Test, serve: (held: HeldExchange) => void): Promise<Server> {
  const failures: unknown[] = [];
  const transport = await createTransport(transportUnderTest, {
    onFailure: (error) => void failures.push(error),
    tls: undefined,
    admits: () => true,
    crowdedCount: Number.POSITIVE_INFINITY,
  });
  transport.fallback((exchange) => serve(exchange.hold(BODY_BYTES_MAX, UNREAD_BYTES_MAX)));
  const port = await transport.listen('127.0.0.1', 0);
  t.teardown(() => transport.close());
  return { transport, port, failures };
}

/** A stream of the given kind for the next request, and the socket of its client. */
async function open(
  t: Test,
  kind: 'finite' | 'endless',
): Promise<Server & { readonly stream: ReplyStream; readonly client: Socket }> {
  let take = (_stream: ReplyStream): void => {};
  const opened = new Promise<ReplyStream>((resolve) => {
    take = resolve;
  });
  const server = await listen(t, (held) => take(held.stream('200 OK', HEAD, kind)));
  const client = dial(t, server.port);
  client.write('GET /s HTTP/1.1\r\nHost: x\r\n\r\n');
  return { ...server, stream: await opened, client };
}

function dial(t: Test, port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

/** Resolves with everything read by the time that `enough` says so, or the other side closed. */
function read(socket: Socket, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      if (!enough(text)) return;
      socket.off('data', take);
      resolve(text);
    };
    socket.on('data', take);
    socket.once('close', () => resolve(text));
  });
}

/** What a chunked reply says, its framing taken off. */
function unchunk(reply: string): string {
  let rest = reply.slice(reply.indexOf('\r\n\r\n') + 4);
  let text = '';
  for (;;) {
    const line = rest.indexOf('\r\n');
    const bytes = Number.parseInt(rest.slice(0, line), 16);
    if (!(bytes > 0)) return text;
    text += rest.slice(line + 2, line + 2 + bytes);
    rest = rest.slice(line + 2 + bytes + 2);
  }
}

const isWhole = (text: string): boolean => text.endsWith('\r\n0\r\n\r\n');
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('chunks arrive in order with their head, and the connection goes on', async (t) => {
  const streams: ReplyStream[] = [];
  const { port } = await listen(t, (held) => void streams.push(held.stream('200 OK', HEAD, 'finite')));
  const client = dial(t, port);
  client.write('GET /s HTTP/1.1\r\nHost: x\r\n\r\n');
  while (streams.length === 0) await turn();
  const stream = streams[0] as ReplyStream;
  const reading = read(client, isWhole);
  t.equal(stream.write('one '), true);
  t.equal(stream.write(''), true, 'an empty chunk is no end');
  t.equal(stream.write(Buffer.from('zwei')), true);
  stream.end();
  stream.end();
  t.equal(stream.write('late'), true, 'what comes after the end goes nowhere');
  t.equal(stream.unsentBytes(), 0);
  const reply = await reading;
  t.match(reply, /^HTTP\/1\.1 200 OK\r\n[^]*Content-Type: text\/plain\r\n[^]*Transfer-Encoding: chunked\r\n/);
  t.equal(unchunk(reply), 'one zwei');
  const again = read(client, isWhole);
  client.write('GET /s HTTP/1.1\r\nHost: x\r\n\r\n');
  while (streams.length === 1) await turn();
  streams[1]?.write('three');
  streams[1]?.end();
  t.equal(unchunk(await again), 'three');
});

test('a stream that ends without a chunk is an empty reply', async (t) => {
  const { stream, client } = await open(t, 'finite');
  stream.end();
  t.match(await read(client, (text) => text.includes('\r\n\r\n')), /^HTTP\/1\.1 200 OK[^]*Content-Length: 0\r\n/);
});

test('a slow reader gets everything, and no more than a chunk or two waits for it', async (t) => {
  const { stream, client, failures } = await open(t, 'finite');
  const chunkBytes = 65_536;
  const count = 400;
  let written = 0;
  let waits = 0;
  let unsentMax = 0;
  const pump = (): void => {
    while (written < count) {
      const accepted = stream.write(String.fromCharCode(97 + (written % 26)).repeat(chunkBytes));
      written += 1;
      unsentMax = Math.max(unsentMax, stream.unsentBytes());
      if (accepted) continue;
      waits += 1;
      return;
    }
    stream.end();
  };
  stream.onWritable(pump);
  client.pause();
  pump();
  t.ok(written < count, `the socket took ${written} chunks`);
  await turn();
  const stuck = written;
  await turn();
  t.equal(written, stuck, 'nothing more is made while it does not read');
  const reading = read(client, isWhole);
  client.resume();
  const text = unchunk(await reading);
  t.equal(text.length, chunkBytes * count);
  for (let i = 0; i < count; i += 1) {
    if (text[i * chunkBytes] !== String.fromCharCode(97 + (i % 26))) t.fail(`chunk ${i} is out of order`);
  }
  t.ok(waits > 0 && unsentMax <= 3 * chunkBytes, `waited ${waits} times, at most ${unsentMax} bytes unsent`);
  t.same(failures, []);
});

test('what waits for a slow reader goes out without another write', async (t) => {
  const { stream, client } = await open(t, 'endless');
  let told = 0;
  stream.onWritable(() => {
    told += 1;
  });
  client.pause();
  let bytes = 0;
  for (let accepted = true; accepted; ) {
    accepted = stream.write('y'.repeat(30_000));
    bytes += 30_000;
  }
  const reading = read(client, (text) => text.length > bytes);
  client.resume();
  t.ok((await reading).length > bytes);
  t.ok(told > 0);
});

test('a client that never reads is cut off at the bound, and its owner is told once', async (t) => {
  const { stream, client, failures } = await open(t, 'endless');
  let closed = 0;
  stream.onClosed(() => {
    closed += 1;
  });
  client.pause();
  let unsentMax = 0;
  let writes = 0;
  while (closed === 0 && writes < 100_000) {
    stream.write(`data: ${'z'.repeat(1000)}\n\n`);
    unsentMax = Math.max(unsentMax, stream.unsentBytes());
    writes += 1;
    if (writes % 100 === 0) await turn();
  }
  t.equal(closed, 1);
  t.ok(unsentMax <= limits.streamUnsentBytesMax, `${unsentMax} bytes`);
  t.equal(stream.write('more'), true);
  stream.end();
  stream.close();
  t.equal(stream.unsentBytes(), 0);
  t.equal(closed, 1);
  t.same(failures, []);
});

test('a client that goes away is told to the owner, and a drain waits for it no longer', async (t) => {
  const { stream, client, transport } = await open(t, 'finite');
  stream.write('begun');
  const closed = new Promise<void>((resolve) => stream.onClosed(resolve));
  client.destroy();
  await closed;
  t.equal(stream.write('into the void'), true);
  stream.end();
  let late = 0;
  stream.onClosed(() => {
    late += 1;
  });
  t.equal(late, 1, 'who asks later is told at once');
  await transport.drain(0, 25_000);
});

test('a stream for a client that has gone already says so', async (t) => {
  let serve = (_held: HeldExchange): void => {};
  const came = new Promise<HeldExchange>((resolve) => {
    serve = resolve;
  });
  const { port, transport } = await listen(t, (held) => serve(held));
  const client = dial(t, port);
  client.write('GET /s HTTP/1.1\r\nHost: x\r\n\r\n');
  const held = await came;
  client.destroy();
  while (!held.aborted) await turn();
  for (const kind of ['finite', 'endless'] as const) {
    const stream = held.stream('200 OK', HEAD, kind);
    let closed = false;
    stream.onClosed(() => {
      closed = true;
    });
    t.equal(closed, true);
    t.equal(stream.write('x'), true);
    stream.close();
  }
  await transport.drain(0, 25_000);
});

test('close cuts the connection, so that half a reply is not taken for a whole one', async (t) => {
  const { stream, client } = await open(t, 'finite');
  let closed = false;
  stream.onClosed(() => {
    closed = true;
  });
  const reading = read(client, isWhole);
  stream.write('half');
  stream.close();
  t.equal(closed, true);
  const reply = await reading;
  t.notOk(isWhole(reply));
});

/** Resolves once a drain has closed the listen socket. */
async function refused(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
  } catch {
    return;
  }
  socket.destroy();
  await refused(port);
}

test('a drain waits for a finite stream', async (t) => {
  const { stream, client, transport } = await open(t, 'finite');
  const reading = read(client, isWhole);
  stream.write('first');
  let drained = false;
  const drain = transport.drain(0, 25_000).then(() => {
    drained = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.equal(drained, false);
  stream.write(' last');
  stream.end();
  t.equal(unchunk(await reading), 'first last');
  await drain;
});

test('a drain ends an endless stream after its last word', async (t) => {
  const { stream, client, transport } = await open(t, 'endless');
  const reading = read(client, isWhole);
  stream.write('event ');
  stream.onDrain(() => void stream.write('goodbye'));
  await transport.drain(0, 25_000);
  t.equal(unchunk(await reading), 'event goodbye');
  t.equal(stream.write('x'), true);
});

test('an endless stream that begins while draining ends at once', async (t) => {
  const held: HeldExchange[] = [];
  const { port, transport } = await listen(t, (each) => void held.push(each));
  const client = dial(t, port);
  const reading = read(client, isWhole);
  client.write('GET /s HTTP/1.1\r\nHost: x\r\n\r\n');
  while (held.length === 0) await turn();
  const drained = transport.drain(0, 25_000);
  await refused(port);
  const stream = held[0]?.stream('200 OK', HEAD, 'endless');
  stream?.write('hello');
  await drained;
  const reply = await reading;
  t.match(reply, /\r\nConnection: close\r\n/);
  t.equal(unchunk(reply), 'hello');
});

test('a body comes in chunks, and its client waits while nobody takes them', async (t) => {
  let serve = (_held: HeldExchange): void => {};
  const came = new Promise<HeldExchange>((resolve) => {
    serve = resolve;
  });
  const { port } = await listen(t, (held) => serve(held));
  const client = dial(t, port);
  const sent = Buffer.alloc(30_000_000);
  for (let i = 0; i < sent.length; i += 1) sent[i] = i % 251;
  client.write(`POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: ${sent.length}\r\n\r\n`);
  client.write(sent);
  const held = await came;
  for (let i = 0; i < 200; i += 1) await turn();
  t.ok(client.writableLength > 0, 'the rest of the body is still with the client');
  t.equal(held.bodyEnded, undefined);
  const taken: Uint8Array[] = [];
  for (let chunk = await held.nextChunk(); chunk !== undefined; chunk = await held.nextChunk()) taken.push(chunk);
  t.equal(held.bodyEnded, 'complete');
  t.ok(Buffer.concat(taken).equals(sent));
  const reading = read(client, (text) => text.includes('done'));
  held.send('200 OK', HEAD, 'done');
  t.match(await reading, /^HTTP\/1\.1 200 OK/);
});

test('a body that ends early, and one over the limit, say so', async (t) => {
  const held: HeldExchange[] = [];
  const { port } = await listen(t, (each) => void held.push(each));
  const leaving = dial(t, port);
  leaving.write('POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf');
  while (held.length === 0) await turn();
  t.same(await held[0]?.nextChunk(), Buffer.from('half'));
  const next = held[0]?.nextChunk();
  leaving.destroy();
  t.equal(await next, undefined);
  t.equal(held[0]?.bodyEnded, 'aborted');

  const large = dial(t, port);
  large.write('POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  const piece = Buffer.alloc(1_000_000, 'a');
  const reading = read(large, (text) => text.includes('too much'));
  void (async () => {
    for (let i = 0; i < 34; i += 1) {
      large.write(`${piece.length.toString(16)}\r\n`);
      large.write(piece);
      if (!large.write('\r\n')) await once(large, 'drain');
    }
  })();
  while (held.length === 1) await turn();
  let bytes = 0;
  for (let chunk = await held[1]?.nextChunk(); chunk !== undefined; chunk = await held[1]?.nextChunk())
    bytes += chunk.length;
  t.equal(held[1]?.bodyEnded, 'too-large');
  t.ok(bytes <= BODY_BYTES_MAX);
  held[1]?.send('413 Content Too Large', HEAD, 'too much');
  t.match(await reading, /^HTTP\/1\.1 413/);
});

test('a reply before the body is read lets the connection go on', async (t) => {
  const held: HeldExchange[] = [];
  const { port } = await listen(t, (each) => void held.push(each));
  const client = dial(t, port);
  const body = 'b'.repeat(5_000_000);
  client.write(`POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  while (held.length === 0) await turn();
  for (let i = 0; i < 50; i += 1) await turn();
  const first = read(client, (text) => text.includes('no'));
  held[0]?.send('403 Forbidden', HEAD, 'no');
  t.match(await first, /^HTTP\/1\.1 403/);
  t.equal(held[0]?.bodyEnded, 'answered');
  const second = read(client, (text) => text.includes('yes'));
  client.write('GET /s HTTP/1.1\r\nHost: x\r\n\r\n');
  while (held.length === 1) await turn();
  held[1]?.send('200 OK', HEAD, 'yes');
  t.match(await second, /^HTTP\/1\.1 200 OK/);
});
