// The routes of segments and their lists of members.
import { limits } from '../limits.ts';
import { documentBody, environment, minRevision, page, reading, V1, writing } from './route-parts.ts';
import type { RouteSpec } from './routes.ts';
import * as schemas from './segment-schemas.ts';

const segmentWriting = {
  ...writing,
  group: 'segments',
  environment: 'body',
  query: [environment],
  ifMatch: true,
} as const;
const segmentRestoring = {
  ...segmentWriting,
  body: { schema: schemas.SegmentRestore, mergePatch: false, optional: true },
} as const;
const segmentReading = {
  ...reading,
  group: 'segments',
  environment: 'query',
  query: [environment, minRevision],
  ifNoneMatch: true,
  problems: ['SEGMENT_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
} as const;
const memberLists = { list: ['included', 'excluded'] } as const;
const segmentReply = { status: 200, description: 'The document as it is now.', schema: schemas.Segment } as const;
const segmentStoring = ['SEGMENT_NOT_FOUND', 'ENVIRONMENT_NOT_FOUND', 'VERSION_MISMATCH'] as const;

export const segmentRoutes = [
  {
    ...reading,
    method: 'GET',
    pattern: `${V1}/segments`,
    operationId: 'listSegments',
    summary: 'List segments',
    group: 'segments',
    environment: 'each',
    query: [
      { ...environment, description: `${environment.description} \`*\`: all that the key may see.` },
      { name: 'q', description: 'Only segments with this in segment_id or description, whatever the case.' },
      ...page,
      minRevision,
    ],
    reply: { status: 200, description: 'In order of segment_id.', schema: schemas.SegmentList },
    problems: ['ENVIRONMENT_NOT_FOUND', 'REVISION_NOT_REACHED'],
  },
  {
    ...writing,
    method: 'POST',
    pattern: `${V1}/segments`,
    operationId: 'createSegment',
    summary: 'Create a segment',
    group: 'segments',
    environment: 'body',
    query: [environment],
    body: documentBody(schemas.SegmentCreate),
    reply: { status: 201, description: 'Made; Location and ETag name it.', schema: schemas.Segment },
    problems: ['ENVIRONMENT_NOT_FOUND', 'SEGMENT_EXISTS', 'CYCLE'],
  },
  {
    ...segmentReading,
    method: 'GET',
    pattern: `${V1}/segments/{segment_id}`,
    operationId: 'getSegment',
    summary: 'Read a segment',
    reply: { status: 200, description: 'The document; its ETag is its version.', schema: schemas.Segment },
  },
  {
    ...segmentWriting,
    method: 'PUT',
    pattern: `${V1}/segments/{segment_id}`,
    operationId: 'replaceSegment',
    summary: 'Replace a segment, but for its lists',
    body: documentBody(schemas.SegmentReplace),
    reply: segmentReply,
    problems: [...segmentStoring, 'CYCLE'],
  },
  {
    ...segmentWriting,
    method: 'PATCH',
    pattern: `${V1}/segments/{segment_id}`,
    operationId: 'patchSegment',
    summary: 'Change parts of a segment',
    body: documentBody(schemas.SegmentPatch, true),
    reply: segmentReply,
    problems: [...segmentStoring, 'CYCLE'],
  },
  {
    ...segmentRestoring,
    method: 'DELETE',
    pattern: `${V1}/segments/{segment_id}`,
    operationId: 'archiveSegment',
    summary: 'Archive a segment',
    reply: { ...segmentReply, description: 'The document as it was archived.' },
    problems: [...segmentStoring, 'IN_USE'],
  },
  {
    ...segmentRestoring,
    method: 'POST',
    pattern: `${V1}/segments/{segment_id}/restore`,
    operationId: 'restoreSegment',
    summary: 'Bring an archived segment back',
    reply: segmentReply,
    problems: [...segmentStoring, 'CYCLE'],
  },
  {
    ...segmentWriting,
    method: 'POST',
    pattern: `${V1}/segments/{segment_id}/members`,
    operationId: 'changeSegmentMembers',
    summary: 'Put ids into a list of a segment, and take ids out of it',
    body: documentBody(schemas.SegmentMembers),
    reply: segmentReply,
    problems: segmentStoring,
  },
  {
    ...segmentReading,
    method: 'GET',
    pattern: `${V1}/segments/{segment_id}/members/{list}`,
    choices: memberLists,
    operationId: 'downloadSegmentMembers',
    summary: 'Read a whole list of a segment',
    reply: {
      status: 200,
      description: "One id a line, in no particular order; the ETag is the segment's version.",
      mediaType: 'text/plain; charset=utf-8',
    },
  },
  {
    ...segmentWriting,
    method: 'PUT',
    pattern: `${V1}/segments/{segment_id}/members/{list}`,
    choices: memberLists,
    operationId: 'replaceSegmentMembers',
    summary: 'Replace a whole list of a segment',
    environment: 'query',
    upload: {
      description: `One id a line, up to ${limits.uploadBytesMax} bytes; an empty file empties the list.`,
      example: 'user-7\nuser-8\n',
    },
    reply: segmentReply,
    problems: segmentStoring,
  },
] as const satisfies readonly RouteSpec[];
