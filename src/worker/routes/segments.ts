// The segments as documents: read from the snapshot, changed by commands. Their lists are in segment-members.ts.
import type { CompiledSegment } from '../../core/compiled.ts';
import { createSegment } from '../../core/parse-segment.ts';
import type { IfMatch, SegmentList } from '../../ipc/messages.ts';
import type { Call, KeyedHandlers } from '../http/call.ts';
import { notModified } from '../http/conditions.ts';
import { isRefusal, type Refusal, refuseIssues } from '../http/refusal.ts';
import { jsonReply, type Reply } from '../http/reply.ts';
import type { ServingSnapshot } from '../serving.ts';
import type { RunCommand } from './commands.ts';
import { type DocumentList, listDocuments } from './document-list.ts';
import { findEnvironment, findSegment } from './lookup.ts';
import { downloadMembers, isMemberList } from './segment-members.ts';

type SegmentHandlers = Pick<
  KeyedHandlers,
  | 'listSegments'
  | 'getSegment'
  | 'createSegment'
  | 'replaceSegment'
  | 'patchSegment'
  | 'archiveSegment'
  | 'restoreSegment'
  | 'changeSegmentMembers'
  | 'downloadSegmentMembers'
  | 'replaceSegmentMembers'
>;

const segmentList: DocumentList<CompiledSegment> = {
  member: 'items',
  searches: ['q'],
  documents: ({ segments }) => segments,
  // A segment has no tags: what a key may see of flags says nothing of it.
  isWanted: () => true,
};

export function createSegmentHandlers(run: RunCommand): SegmentHandlers {
  return {
    listSegments: (call) => listDocuments(call, segmentList),
    getSegment: (call) => (snapshot) => {
      const found = readSegment(call, snapshot);
      return isRefusal(found) || 'status' in found ? found : jsonReply(200, found.segment.json, [['ETag', found.tag]]);
    },
    createSegment: (call) => {
      // Judged here too: what is malformed is told before the environment in a body, and with the primary away.
      const parsed = createSegment(call.body, call.environment);
      if (!parsed.ok && parsed.code === 'INVALID_REQUEST') return refuseIssues(parsed.issues);
      return () => run(call, { type: 'segment.create', environment: call.environment, body: call.body });
    },
    replaceSegment: (call) => () => run(call, { type: 'segment.replace', ...addressed(call), body: call.body }),
    patchSegment: (call) => () => run(call, { type: 'segment.patch', ...addressed(call), body: call.body }),
    archiveSegment: (call) => () => run(call, { type: 'segment.archive', ...addressed(call) }),
    restoreSegment: (call) => () => run(call, { type: 'segment.restore', ...addressed(call) }),
    changeSegmentMembers: (call) => () => run(call, { type: 'segment.members', ...addressed(call), body: call.body }),
    downloadSegmentMembers: (call) => (snapshot) => {
      const found = readSegment(call, snapshot);
      if (isRefusal(found) || 'status' in found) return found;
      return downloadMembers(found.segment[listOf(call)], found.tag);
    },
    replaceSegmentMembers: (call) => {
      const { upload } = call;
      if (upload === undefined) throw new Error('a list of members came without a file');
      const list = listOf(call);
      return () =>
        run(call, {
          type: 'segment.replace_members',
          ...addressed(call),
          list,
          upload: upload.name,
          bytes: upload.bytes,
        });
    },
  };
}

function addressed(call: Call): { environment: string; segmentId: string; ifMatch: IfMatch } {
  return { environment: call.environment, segmentId: call.parameters[0] ?? '', ifMatch: call.ifMatch };
}

/** The segment with its tag; or 304, when the client has this version. */
function readSegment(
  call: Call,
  snapshot: ServingSnapshot,
): { readonly segment: CompiledSegment; readonly tag: string } | Reply | Refusal {
  const environment = findEnvironment(snapshot, call.environment);
  if (isRefusal(environment)) return environment;
  const segment = findSegment(environment, call.parameters[0] ?? '');
  if (isRefusal(segment)) return segment;
  const tag = `"${segment.version}"`;
  return notModified(call.request, tag) ?? { segment, tag };
}

function listOf(call: Call): SegmentList {
  const list = call.parameters[1] ?? '';
  if (!isMemberList(list)) throw new Error(`the router let the list ${JSON.stringify(list)} pass`);
  return list;
}
