// Which configuration a worker was started with, as one short name. A worker of another generation than its primary's is
// replaced, whether it comes from before a SIGHUP or from a launcher that was started with other settings.
import { createHash } from 'node:crypto';
import type { Config } from '../config.ts';

/**
 * 12 hex digits, the same for the same settings, whatever was written out and whatever was left to its default.
 * @param certificate serial number of the one that is served with: workers that have another one are to be replaced too
 */
export function hashConfig(config: Config, certificate: string | undefined): string {
  // A secret is only for a store's first start. A hash of it would stand in the environment of every process.
  const { bootstrapAdminKey: _, ...settings } = config;
  const ordered = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([ordered, certificate]))
    .digest('hex')
    .slice(0, 12);
}

/** `<hash of the configuration>-<number of SIGHUPs>`: each SIGHUP makes another one, since it means to replace. */
export function generationName(configHash: string, sighupCount: number): string {
  return `${configHash}-${sighupCount}`;
}
