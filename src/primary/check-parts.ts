// Loads what the primary and its threads are made of, without starting any: for `burgee check`.
import { checkEmbeddedDatabase } from '../storage/check-embedded.ts';
import { migrationNames } from '../storage/migrate.ts';

/** Rejects with what cannot be loaded. */
export async function checkPrimaryParts(): Promise<void> {
  await Promise.all([import('./main.ts'), import('./jobs/packing-thread.ts'), checkEmbeddedDatabase()]);
  migrationNames();
}
