// What TLS costs: the service with a certificate and the same service without, one evaluation each over kept connections,
// in turns, each from one worker on one core with wrk on another; then how many new clients a second it greets.
//
//   npm run bench:tls                     five pairs of five seconds
//   npm run bench:tls -- --pairs 3 --seconds 2 --type rsa
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { connect } from 'node:tls';
import { parseArgs } from 'node:util';
import { writeCertificate } from '../test/support/certificate.ts';
// @ts-expect-error written in JavaScript
import { startService } from './http/service.mjs';
// @ts-expect-error written in JavaScript
import * as sideBySide from './http/side-by-side.mjs';

const CONNECTIONS = 64;
const HANDSHAKES_AT_ONCE = 16;
const PATH = '/api/v1/flags/new-checkout/evaluate?user_id=user-123&environment=prod';
// So high that it is counted and never reached.
const RATE_LIMIT_PER_MINUTE = 1_000_000_000;

const { values: options } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    /** Of the key: ec (P-256) or rsa (2048). */
    type: { type: 'string', default: 'ec' },
  },
});
const pairCount: number = sideBySide.positiveInteger('pairs', options.pairs);
const seconds: number = sideBySide.positiveInteger('seconds', options.seconds);
const files = writeCertificate({ type: options.type === 'rsa' ? 'rsa' : 'ec' });

sideBySide.requireMachine();
await sideBySide.withClosing(async (open: { close(): unknown }[]) => {
  open.push({ close: () => rmSync(dirname(files.certFile), { recursive: true }) });
  const start = async (tls: typeof files | undefined) => {
    const service = await startService({
      flags: [{ flag_id: 'new-checkout', environment: 'prod', enabled: true, rollout_percentage: 25 }],
      rateLimit: RATE_LIMIT_PER_MINUTE,
      workerCore: sideBySide.SERVER_CORE,
      otherCore: sideBySide.WRK_CORE,
      tls,
    });
    open.push(service);
    // A key's first requests wait for its lease of the rate limit, or are refused on a busy machine.
    const headers = { 'X-API-Key': service.apiKey };
    for (let good = 0; good < 100; ) good = (await service.ask('GET', PATH, headers)).status === 200 ? good + 1 : 0;
    const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${service.port}${PATH}`;
    return { url, pid: service.workerPid() as number, headers, port: service.port as number };
  };
  const plain = await start(undefined);
  const secure = await start(files);
  sideBySide.warnWhenBusy();
  console.log(`bare: the service over plain HTTP; service: the same over TLS (${options.type})`);
  const pairs = await sideBySide.measurePairs({
    bare: plain,
    service: secure,
    pairCount,
    seconds,
    connections: CONNECTIONS,
  });
  sideBySide.summarise(pairs, {});
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const) await greetings(secure, version);
});

/** New connections, each with a whole handshake, and closed again. */
async function greetings({ port, pid }: { port: number; pid: number }, version: 'TLSv1.2' | 'TLSv1.3'): Promise<void> {
  const startedMs = performance.now();
  const cpuBefore: number = sideBySide.cpuSeconds(pid);
  let count = 0;
  const greet = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const target = { port, host: '127.0.0.1', ca: files.certPem, minVersion: version, maxVersion: version };
      const socket = connect(target, () => socket.destroy());
      socket.on('error', reject);
      socket.on('close', () => resolve());
    });
  const keepGreeting = async (): Promise<void> => {
    while (performance.now() - startedMs < seconds * 1000) {
      await greet();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: HANDSHAKES_AT_ONCE }, keepGreeting));
  const took = (performance.now() - startedMs) / 1000;
  const cpuMicros = ((sideBySide.cpuSeconds(pid) - cpuBefore) / count) * 1e6;
  console.log(
    `${version}: ${(count / took).toFixed(0)} handshakes/s by one client process, ${cpuMicros.toFixed(0)} us CPU of the worker each ` +
      `(so at most ${(1e6 / cpuMicros).toFixed(0)}/s a core)`,
  );
}
