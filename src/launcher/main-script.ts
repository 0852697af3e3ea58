// By which path the service's main script is started again, by the launcher and for every process below it.
import { realpathSync } from 'node:fs';

/**
 * The first of `candidates` that leads to the file `own`, with its links as they were given: a release link leads to the
 * next build one day. `own` itself when none does. A program that loads the service into a process of its own stands in
 * argv[1] in place of it (PM2's container); what was started through that would never be checked, or gone back from, as a
 * build.
 * @param own the main script that runs, free of links
 */
export function mainScript(own: string, candidates: readonly (string | undefined)[]): string {
  return candidates.find((candidate) => candidate !== undefined && leadsTo(candidate, own)) ?? own;
}

function leadsTo(path: string, file: string): boolean {
  try {
    return realpathSync(path) === file;
  } catch {
    return false;
  }
}
