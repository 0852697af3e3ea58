// Loads the embedded database's code without opening one: for `burgee check`.
import { NOT_A_THREAD } from './pglite-messages.ts';

/** Rejects with what cannot be loaded. */
export async function checkEmbeddedDatabase(): Promise<void> {
  try {
    await import('./pglite-thread.ts');
  } catch (error) {
    // Its last word once all that it is made of is there: it runs nowhere but in a thread.
    if (!(error instanceof Error && error.message === NOT_A_THREAD)) throw error;
  }
}
