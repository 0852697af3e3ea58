// The yardstick: a uWebSockets.js server that answers every message with one constant, which its parent sends it.
// With `parse` it reads each message as JSON first, as anybody who answers JSON must.
import uws from 'uWebSockets.js';

const parse = process.argv[2] === 'parse';
let reply = Buffer.alloc(0);
let isBinary = true;
// What was parsed is used, so that no compiler can leave it out.
let parsed;

process.on('message', (message) => {
  reply = Buffer.from(message.reply, 'base64');
  isBinary = message.isBinary;
  process.send({ ready: true });
});
process.once('disconnect', () => process.exit(parsed === null ? 1 : 0));

uws
  .App()
  .ws('/*', {
    maxPayloadLength: 2 * 1024 * 1024,
    maxBackpressure: 0,
    open: (ws) => void ws.send('{"type":"welcome"}', false),
    message: (ws, message) => {
      if (parse) parsed = JSON.parse(Buffer.from(message).toString());
      ws.send(reply, isBinary);
    },
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('the bare server cannot listen');
    process.send({ port: uws.us_socket_local_port(socket) });
  });
