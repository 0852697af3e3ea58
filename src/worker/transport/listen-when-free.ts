// A port that cannot be shared changes hands: who is to have it next waits, ready, until the one before lets go.
import type { Transport } from './transport.ts';

const TRY_MS = 20;
/** Whoever is asked to let go does so at once; what still has the port after this is another program. */
const WAIT_MS_MAX = 10_000;

/**
 * Resolves with the port in use. Where it is taken and cannot be shared `onTaken` is called, once, and it is tried for
 * ten seconds more. Rejects when the address cannot be had.
 */
export async function listenWhenFree(
  transport: Pick<Transport, 'listen' | 'sharesPort'>,
  host: string,
  port: number,
  onTaken: () => void,
): Promise<number> {
  let sinceMs: number | undefined;
  for (;;) {
    try {
      return await transport.listen(host, port);
    } catch (error) {
      const nowMs = performance.now();
      if (transport.sharesPort || !isTaken(error) || nowMs - (sinceMs ?? nowMs) > WAIT_MS_MAX) throw error;
      if (sinceMs === undefined) onTaken();
      sinceMs ??= nowMs;
      await new Promise((resolve) => setTimeout(resolve, TRY_MS));
    }
  }
}

function isTaken(error: unknown): boolean {
  return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
}
