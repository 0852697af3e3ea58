// The yardstick: a uWebSockets.js server with the service's route that sends one constant reply, whatever is asked.
// The reply (status, headers in order, body) comes as JSON in the first argument; the port goes to the parent.
import uws from 'uWebSockets.js';

const reply = JSON.parse(process.argv[2]);
const { status, body } = reply;
// All header lines in one call, as the service writes them: the yardstick must not pay for what the service has saved.
const [[firstName, firstValue], ...others] = reply.headers;
const rest = [firstValue, ...others.map(([name, value]) => `${name}: ${value}`)].join('\r\n');

uws
  .App()
  .get('/api/v1/flags/:flag_id/evaluate', (res) => {
    if (status !== '200 OK') res.writeStatus(status);
    res.writeHeader(firstName, rest);
    res.end(body);
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('the bare server cannot listen');
    process.send({ port: uws.us_socket_local_port(socket) });
  });

process.once('disconnect', () => process.exit(0));
