// The yardstick: a uWebSockets.js server with the service's route that sends one constant reply, whatever is asked.
// The reply (status, headers in order, body) comes as JSON in the first argument; the port goes to the parent.
import uws from 'uWebSockets.js';

const reply = JSON.parse(process.argv[2]);
const { status, body } = reply;
const names = reply.headers.map(([name]) => name);
const values = reply.headers.map(([, value]) => value);

uws
  .App()
  .get('/api/v1/flags/:flag_id/evaluate', (res) => {
    res.writeStatus(status);
    for (let i = 0; i < names.length; i += 1) res.writeHeader(names[i], values[i]);
    res.end(body);
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('the bare server cannot listen');
    process.send({ port: uws.us_socket_local_port(socket) });
  });

process.once('disconnect', () => process.exit(0));
