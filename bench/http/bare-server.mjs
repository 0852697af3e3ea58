// The yardstick: a uWebSockets.js server with the service's route that sends one constant reply, whatever is asked. Of
// a POST it reads the body first, all of it. Method, pattern and reply (status, headers in order, body) come as JSON in
// the first argument; the port goes to the parent.
import uws from 'uWebSockets.js';

const { method, pattern, status, headers, body: text } = JSON.parse(process.argv[2]);
// All header lines in one call, as the service writes them: the yardstick must not pay for what the service has saved.
const [[firstName, firstValue], ...others] = headers;
const rest = [firstValue, ...others.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
// Short replies leave fastest as text, long ones as bytes; a POST is answered at length here.
const body = method === 'get' ? text : Buffer.from(text);

function answer(res) {
  if (status !== '200 OK') res.writeStatus(status);
  res.writeHeader(firstName, rest);
  res.end(body);
}

function readThenAnswer(res) {
  const chunks = [];
  res.onAborted(() => {});
  res.onData((chunk, isLast) => {
    // What the library shows is taken away again.
    chunks.push(chunk.slice(0));
    if (isLast) answer(res);
  });
}

uws
  .App()
  [method](pattern, method === 'get' ? answer : readThenAnswer)
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) throw new Error('the bare server cannot listen');
    process.send({ port: uws.us_socket_local_port(socket) });
  });

process.once('disconnect', () => process.exit(0));
