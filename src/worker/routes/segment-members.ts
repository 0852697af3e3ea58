// A whole list of a segment as text, one id a line. It is made chunk by chunk while it is sent, from the list of one
// revision, and gives the loop away between chunks; a client that reads slowly makes it wait.
import type { IdSet } from '../../core/compiled.ts';
import type { SegmentList } from '../../ipc/messages.ts';
import { limits } from '../../limits.ts';
import type { StreamedReply } from '../http/reply.ts';
import type { ReplyStream } from '../transport/transport.ts';

/** Ids between two looks at the clock. */
const IDS_PER_LOOK = 256;
/** Longest that one chunk is collected for, in milliseconds; a chunk may then be a short one. */
const CHUNK_MS_MAX = 2;

export function isMemberList(list: string): list is SegmentList {
  return list === 'included' || list === 'excluded';
}

/** `ids` undefined: the list is empty. `tag`: of the segment's version. */
export function downloadMembers(ids: IdSet | undefined, tag: string): StreamedReply {
  return {
    status: 200,
    mediaType: 'text/plain; charset=utf-8',
    headers: [
      ['ETag', tag],
      ['Cache-Control', 'no-store'],
    ],
    revision: undefined,
    kind: 'finite',
    run: (stream) => send(ids, stream),
  };
}

async function send(ids: IdSet | undefined, stream: ReplyStream): Promise<void> {
  let gone = false;
  let wake = (): void => {};
  stream.onClosed(() => {
    gone = true;
    wake();
  });
  stream.onWritable(() => wake());
  try {
    for (const chunk of chunksOf(ids?.ids() ?? [])) {
      if (!stream.write(chunk) && !gone) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      // One chunk takes up to half of what the loop may be held for.
      await new Promise(setImmediate);
      if (gone) return;
    }
    stream.end();
  } catch (error) {
    // Half a list must not pass for a whole one.
    stream.close();
    throw error;
  }
}

/** Lines, about `limits.downloadChunkChars` at a time. */
export function* chunksOf(ids: Iterable<string>): Generator<string> {
  let chunk = '';
  let count = 0;
  let startedMs = performance.now();
  for (const id of ids) {
    chunk += id;
    chunk += '\n';
    count += 1;
    const isDue = count % IDS_PER_LOOK === 0 && performance.now() - startedMs > CHUNK_MS_MAX;
    if (chunk.length < limits.downloadChunkChars && !isDue) continue;
    yield chunk;
    chunk = '';
    startedMs = performance.now();
  }
  if (chunk !== '') yield chunk;
}
