// The service as an operator runs it, with one worker: pinned to one core, and everything else of it, and this process,
// to another.
import { type Service, startService } from '../../test/support/service.ts';
import { CLIENT_CORE, pin, requireTwoCores, WORKER_CORE } from './machine.ts';

/** High, not none, for where what a limit costs belongs to what is measured. */
export const HIGH_LIMIT_PER_MINUTE = 1_000_000_000;

export interface MeasuredService {
  readonly service: Service;
  readonly port: number;
  /** May read and evaluate. */
  readonly key: string;
  readonly workerPid: number;
  /** Throws when the worker that was measured is not the one that runs now. */
  checkWorker(): void;
  /** A request by the admin; throws when it is not answered with `status`. */
  // biome-ignore lint/suspicious/noExplicitAny: benchmarks look into replies of every route
  ask(method: string, path: string, json: unknown, status?: number): Promise<any>;
  close(): Promise<void>;
}

/** @param options `rateLimit`: requests a minute of the key, 0 for none */
export async function startMeasuredService(
  flags: readonly object[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly rateLimit?: number } = {},
): Promise<MeasuredService> {
  requireTwoCores();
  const service = await startService({ workers: 1, env: { ACCESS_LOG: 'sampled', ...options.env } });
  const ask: MeasuredService['ask'] = async (method, path, json, status = 200) => {
    const reply = await service.api(path, { method, json });
    if (reply.status !== status) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  };
  try {
    for (const flag of flags) await ask('POST', '/api/v1/flags', flag, 201);
    const grant = { name: 'bench', scopes: ['read'], environments: ['prod'], rate_limit: options.rateLimit ?? 0 };
    const { key } = await ask('POST', '/api/v1/keys', grant, 201);
    const [workerPid = 0] = service.workerPids();
    pin(workerPid, WORKER_CORE);
    for (const pid of [service.primaryPid(), service.launcher.pid as number, process.pid]) pin(pid, CLIENT_CORE);
    return {
      service,
      port: service.port,
      key,
      workerPid,
      ask,
      checkWorker() {
        const now = service.workerPids();
        if (now.length !== 1 || now[0] !== workerPid) {
          throw new Error(`worker ${workerPid} was replaced during the run:\n${service.output().slice(-4000)}`);
        }
      },
      close: async () => void (await service.stop()),
    };
  } catch (error) {
    await service.stop();
    throw error;
  }
}
