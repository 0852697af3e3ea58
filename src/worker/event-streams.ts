// Clients that wait to be told that their environment changed. A swap of the snapshot only marks; one loop then tells
// each client once of the latest state, however many revisions lie between.
import { limits } from '../limits.ts';
import { changeTag } from './change-tag.ts';
import type { ServingKey, ServingSnapshot, SnapshotHolder } from './serving.ts';
import { createSlices } from './slices.ts';
import type { StreamGrant } from './stream-token.ts';
import type { ReplyStream } from './transport/transport.ts';

/** Changes within this time are told as one: a client that hears of them asks for all its flags again. */
const COALESCE_MS = 50;
/** Proxies cut a reply that was silent for long (nginx after 60 s), and a client that left without a word is found so. */
const HEARTBEAT_MS = 15_000;
/** How long a client waits before it comes back: spread, because all of a worker's clients lose it at once. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_SPREAD = 4000;

export interface EventStreams {
  /** Whether the key may open one more. */
  hasRoom(keyId: string): boolean;
  /** Takes over an open reply. `known`: the state that its client has, as `changeTag` names it; undefined: it will ask. */
  add(grant: StreamGrant, reply: ReplyStream, known: string | undefined): void;
  /** Ends the timers. May be called twice. */
  close(): void;
}

interface Client {
  readonly grant: StreamGrant;
  /** What the key was when the stream began: one with the same id and another secret is another key. */
  readonly keyHash: string;
  readonly reply: ReplyStream;
  /** The state that the client knows of. */
  told: string;
  /** Earlier bytes are not gone yet: it is told of the latest state once they are. */
  blocked: boolean;
}

export function createEventStreams(deps: {
  readonly holder: Pick<SnapshotHolder, 'current' | 'onSwap'>;
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}): EventStreams {
  const { holder, now } = deps;
  const clients = new Set<Client>();
  const countByKey = new Map<string, number>();
  let dirty = false;
  let working = false;
  let closed = false;
  let wake: NodeJS.Timeout | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  function mark(): void {
    dirty = true;
    if (working || closed || clients.size === 0) return;
    working = true;
    wake = setTimeout(() => void tellAll(), COALESCE_MS);
  }

  async function tellAll(): Promise<void> {
    dirty = false;
    const slices = createSlices();
    for (const client of clients) {
      tell(client);
      const pause = slices.pause();
      if (pause !== undefined) await pause;
    }
    working = false;
    if (dirty) mark();
  }

  function tell(client: Client): void {
    const snapshot = holder.current;
    const environment = snapshot?.environments.get(client.grant.environment);
    if (snapshot === undefined || environment === undefined || !isAllowed(client, snapshot)) return end(client);
    const tag = changeTag(snapshot, environment);
    if (tag === client.told || client.blocked) return;
    client.told = tag;
    send(client, eventText(tag, now()));
  }

  function isAllowed({ grant, keyHash }: Client, snapshot: ServingSnapshot): boolean {
    const key = snapshot.keysById.get(grant.keyId);
    return key !== undefined && key.keyHash === keyHash && mayListen(key, grant.environment, now());
  }

  function send(client: Client, text: string): void {
    client.blocked = !client.reply.write(text);
  }

  function beat(): void {
    for (const client of clients) {
      // One that has not taken what it was sent by now is gone, or too slow to be told anything in time.
      if (client.blocked) client.reply.close();
      else {
        // That a key expires is nobody's event, and is looked for here.
        tell(client);
        if (clients.has(client) && !client.blocked) send(client, ': still here\n\n');
      }
    }
  }

  function end(client: Client): void {
    forget(client);
    client.reply.end();
  }

  function forget(client: Client): void {
    if (!clients.delete(client)) return;
    const count = (countByKey.get(client.grant.keyId) ?? 1) - 1;
    if (count === 0) countByKey.delete(client.grant.keyId);
    else countByKey.set(client.grant.keyId, count);
    if (clients.size > 0) return;
    clearInterval(heartbeat);
    heartbeat = undefined;
  }

  holder.onSwap(mark);
  return {
    hasRoom: (keyId) => clients.size < limits.streamsMax && (countByKey.get(keyId) ?? 0) < limits.streamsPerKeyMax,
    add(grant, reply, known) {
      const snapshot = holder.current;
      const environment = snapshot?.environments.get(grant.environment);
      const key = snapshot?.keysById.get(grant.keyId);
      if (closed || snapshot === undefined || environment === undefined || key === undefined) return reply.end();
      const current = changeTag(snapshot, environment);
      const told = known === undefined || isAhead(known, current) ? current : known;
      const client: Client = { grant, keyHash: key.keyHash, reply, told, blocked: false };
      clients.add(client);
      countByKey.set(grant.keyId, (countByKey.get(grant.keyId) ?? 0) + 1);
      heartbeat ??= setInterval(beat, HEARTBEAT_MS).unref();
      reply.onClosed(() => forget(client));
      reply.onDrain(() => forget(client));
      reply.onWritable(() => {
        client.blocked = false;
        if (clients.has(client)) tell(client);
      });
      // Bytes at once: without any the head would not leave, and the client not know that it is connected.
      send(client, `retry: ${RETRY_MS_MIN + Math.floor(deps.random() * RETRY_MS_SPREAD)}\n\n`);
      tell(client);
    },
    close() {
      closed = true;
      clearTimeout(wake);
      clearInterval(heartbeat);
    },
  };
}

export function mayListen(key: ServingKey, environment: string, nowMs: number): boolean {
  // Written so that an expiry that is not a number refuses.
  return nowMs < key.expiresAtMs && (key.environments === undefined || key.environments.has(environment));
}

/** Whether a client knows more than this worker does: it has been at one that was faster. */
function isAhead(known: string, current: string): boolean {
  const [epoch, revision] = current.split('-');
  const [knownEpoch, knownRevision] = known.split('-');
  return knownEpoch === epoch && Number(knownRevision) > Number(revision);
}

function eventText(tag: string, nowMs: number): string {
  const payload = { type: 'refetchEvaluation', etag: tag, lastModified: Math.floor(nowMs / 1000) };
  return `id: ${tag}\nevent: message\ndata: ${JSON.stringify(payload)}\n\n`;
}
