// What the second transport (node:http and ws) costs: the same service on both, in turns, each with one worker on one
// core and the client on another. Three loads: single evaluations, OFREP's bulk request of 100 flags, binary frames.
//
//   npm run bench:transports                        three pairs of three seconds of each
//   npm run bench:transports -- --pairs 5 --seconds 5
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeRequest } from '../test/support/binary-client.ts';
import { clientFrame, OPCODE, textFrame } from '../test/support/raw-web-socket.ts';
import { wrk } from './http/wrk.mjs';
import { CLIENT_CORE, median, positiveInteger, warnWhenBusy } from './socket/machine.ts';
import { HIGH_LIMIT_PER_MINUTE, type MeasuredService, startMeasuredService } from './socket/measured-service.ts';
import { runPipeline } from './socket/pipeline.ts';

const FLAGS = 100;
const USERS = 100;
const FRAMES = 64;
/** Few enough that a worker on a slow core does not refuse some as overload. */
const HTTP_CONNECTIONS = 16;
const TRANSPORTS = ['uws', 'node'] as const;

const { values } = parseArgs({
  options: { pairs: { type: 'string', default: '3' }, seconds: { type: 'string', default: '3' } },
});
const pairCount = positiveInteger('pairs', values.pairs);
const seconds = positiveInteger('seconds', values.seconds);

const flags = Array.from({ length: FLAGS }, (_, i) => ({
  flag_id: `flag-${i}`,
  enabled: true,
  rollout_percentage: 25,
}));
const bulkScript = join(tmpdir(), `burgee-bulk-${process.pid}.lua`);
writeFileSync(
  bulkScript,
  `wrk.method = "POST"\nwrk.body = '{"context":{"targetingKey":"user-123"}}'\nwrk.headers["Content-Type"] = "application/json"\n`,
);

const LOADS: Readonly<Record<string, (measured: MeasuredService) => Promise<number>>> = {
  'GET evaluation, requests/s': (measured) =>
    requests(measured, '/api/v1/flags/flag-1/evaluate?user_id=user-123&environment=prod', undefined),
  'OFREP bulk of 100 flags, requests/s': (measured) => requests(measured, '/ofrep/v1/evaluate/flags', bulkScript),
  'binary frames of 100 users x 100 flags, frames/s': frames,
};

async function requests({ port, key }: MeasuredService, path: string, script: string | undefined): Promise<number> {
  const { requestsPerSecond } = await wrk({
    url: `http://127.0.0.1:${port}${path}`,
    headers: { 'X-API-Key': key },
    core: CLIENT_CORE,
    connections: HTTP_CONNECTIONS,
    seconds,
    script,
  });
  return requestsPerSecond;
}

async function frames({ port, key }: MeasuredService): Promise<number> {
  const users = Array.from({ length: USERS }, (_, i) => ({ userId: `user-${i}` }));
  const { repliesPerSecond } = await runPipeline({
    target: { port, key },
    prologue: textFrame({ type: 'prepare', id: 1, environment: 'prod' }),
    frames: Array.from({ length: FRAMES }, (_, i) =>
      clientFrame(OPCODE.binary, encodeRequest({ op: 1, options: 0, handle: 1, id: 1000 + i, users })),
    ),
    opcode: OPCODE.binary,
    replyBytesMin: USERS * FLAGS,
    connections: 4,
    inFlight: 16,
    seconds,
  });
  return repliesPerSecond;
}

warnWhenBusy();
const services = new Map<string, MeasuredService>();
try {
  // At once: each pins this process, whose place its own processes inherit.
  await Promise.all(
    TRANSPORTS.map(async (transport) => {
      const options = { env: { TRANSPORT: transport }, rateLimit: HIGH_LIMIT_PER_MINUTE };
      services.set(transport, await startMeasuredService(flags, options));
    }),
  );
  for (const [name, load] of Object.entries(LOADS)) {
    const measured: Record<(typeof TRANSPORTS)[number], number[]> = { uws: [], node: [] };
    // The first turn only warms up. Who goes first changes, so that a machine that slows favours neither.
    for (let pair = 0; pair <= pairCount; pair++)
      for (const transport of pair % 2 === 0 ? TRANSPORTS : TRANSPORTS.toReversed()) {
        const perSecond = await load(services.get(transport) as MeasuredService);
        if (pair > 0) measured[transport].push(perSecond);
      }
    const ratio = median(measured.node.map((perSecond, i) => perSecond / (measured.uws[i] as number)));
    const told = TRANSPORTS.map((transport) => `${transport} ${Math.round(median(measured[transport]))}`);
    console.log(`${name}: ${told.join(', ')}; median ratio of the pairs ${ratio.toFixed(3)}`);
  }
  for (const measured of services.values()) measured.checkWorker();
} finally {
  for (const measured of services.values()) await measured.close();
}
