// What a node remembers of itself and the other nodes for when its primary is replaced while Redis is away: its name, and
// how many they were. DATA_DIR/run/node; of another boot it is not ours any more, for what was granted then is forgotten.
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootId } from '../run/process-identity.ts';

export interface NodeMemory {
  /** Of this node as long as its DATA_DIR and the system's boot last. */
  readonly nodeId: string;
  /** As last noted; undefined: never. */
  readonly nodes: number | undefined;
  note(nodes: number): void;
}

/** `folder` exists and is ours alone. A failed write is told to `warn`, and stops nothing. */
export function openNodeMemory(folder: string, warn: (fields: object, message: string) => void): NodeMemory {
  const path = join(folder, 'node');
  const found = read(path);
  const nodeId = found?.nodeId ?? randomBytes(12).toString('hex');
  let nodes = found?.nodes;

  function write(): void {
    try {
      writeFileSync(`${path}.new`, JSON.stringify({ boot: bootId(), nodeId, nodes }), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      warn({ err: error }, 'what is known of the other nodes cannot be written');
    }
  }

  if (found === undefined) write();
  return {
    nodeId,
    get nodes() {
      return nodes;
    },
    note(count) {
      if (count === nodes) return;
      nodes = count;
      write();
    },
  };
}

function read(path: string): { readonly nodeId: string; readonly nodes: number | undefined } | undefined {
  try {
    const said = JSON.parse(readFileSync(path, 'utf8')) as { boot?: unknown; nodeId?: unknown; nodes?: unknown };
    if (said.boot !== bootId() || typeof said.nodeId !== 'string' || !/^[0-9a-f]{24}$/.test(said.nodeId))
      return undefined;
    const nodes = Number.isSafeInteger(said.nodes) && (said.nodes as number) >= 1 ? (said.nodes as number) : undefined;
    return { nodeId: said.nodeId, nodes };
  } catch {
    return undefined;
  }
}
