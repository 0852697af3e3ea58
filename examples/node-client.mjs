// Asks Burgee over one WebSocket: an evaluation, a batch in binary, and the news. See README.md beside this.
import { once } from 'node:events';
import WebSocket from 'ws';

const { KEY, URL = 'ws://localhost:8000/api/v1/ws', FLAG = 'new-checkout' } = process.env;
if (KEY === undefined) throw new Error('KEY is not set: an API key that may evaluate');
const socket = new WebSocket(URL, { headers: { 'X-API-Key': KEY } });
const waiting = new Map(); // what a reply resolves, by id
const prepared = []; // the lists of variants of our handle, oldest first

function ask(id, request) {
  socket.send(Buffer.isBuffer(request) ? request : JSON.stringify({ ...request, id }));
  return new Promise((resolve) => waiting.set(id, resolve));
}

socket.on('message', (bytes, isBinary) => {
  const message = isBinary ? { id: bytes.readUInt32LE(4), bytes } : JSON.parse(bytes);
  if (message.type === 'error') throw new Error(message.message);
  if (message.type === 'prepared') prepared.push(message);
  if (message.type === 'change') console.log('changed:', JSON.stringify(message.results));
  waiting.get(message.id)?.(message);
  waiting.delete(message.id);
});
socket.on('close', (code, reason) => process.exit(console.error(`closed with ${code}: ${reason}`) ?? 1));
// Told before the close: a handshake that was refused (401: the key), or nobody at the address.
socket.on('error', (error) => console.error(error.message || error.code));
await once(socket, 'open');

const { results } = await ask(1, { type: 'evaluate', user_id: 'user-1', flags: [FLAG] });
console.log('user-1:', JSON.stringify(results[FLAG]));

const { handle } = await ask(2, { type: 'prepare', flags: [FLAG] });
const request = [Buffer.from([1, 0, handle & 255, handle >> 8]), Buffer.from(Uint32Array.of(3, 1000).buffer)];
for (let i = 0; i < 1000; i += 1) {
  const user = Buffer.from(`user-${i}`);
  request.push(Buffer.from([user.length & 255, user.length >> 8]), user);
}
const { bytes } = await ask(3, Buffer.concat(request));
// What it is read with: the latest lists whose revision is not above the reply's.
const { flags } = prepared.findLast(({ revision }) => revision <= bytes.readBigUInt64LE(16));
const counts = {};
for (const index of bytes.subarray(24)) {
  const variant = flags[0].variants[index] ?? 'unknown';
  counts[variant] = (counts[variant] ?? 0) + 1;
}
console.log('of 1000 users:', JSON.stringify(counts));

await ask(4, { type: 'subscribe', user_id: 'user-1', flags: [FLAG] });
console.log('subscribed: change the flag to see it, Ctrl-C ends');
