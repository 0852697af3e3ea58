// A segment's row as the JSON of its snapshot item. What cannot be read comes from the versions, so that one bad row
// harms one segment at most.
import { parseIdList } from '../core/id-list.ts';
import { parseSegmentDocument, renderSegment } from '../core/segment-document.ts';
import { newestReadable, readListAt, type SegmentAddress } from './segment-rows.ts';
import type { Queryable } from './sql.ts';

export interface SegmentColumns {
  readonly document: string;
  readonly included: string;
  readonly excluded: string;
  readonly version: string;
}

/**
 * @param onProblem is told what could not be read, and the version of the document that is sent in its place;
 * undefined: none can be, and the row goes out as it is for compiling to answer for
 */
export async function segmentItemJson(
  tx: Queryable,
  address: SegmentAddress,
  row: SegmentColumns,
  onProblem: (problem: string, version: number | undefined) => void,
): Promise<string> {
  const problem = problemOf(row, address);
  if (problem === undefined) return itemJson(row.document, row.included, row.excluded);
  const newest = await newestReadable(tx, address);
  const version = Number(row.version);
  const included = parseIdList(row.included) ?? (await readListAt(tx, address, 'included', version));
  const excluded = parseIdList(row.excluded) ?? (await readListAt(tx, address, 'excluded', version));
  if (newest === undefined || included === undefined || excluded === undefined) {
    onProblem(problem, undefined);
    return itemJson(row.document, row.included, row.excluded);
  }
  onProblem(problem, newest.version);
  const document = { ...newest.document, included_count: included.count, excluded_count: excluded.count };
  return itemJson(renderSegment(document), JSON.stringify(included), JSON.stringify(excluded));
}

function itemJson(document: string, included: string, excluded: string): string {
  return `{"document":${document},"included":${included},"excluded":${excluded}}`;
}

function problemOf(row: SegmentColumns, { environment, segmentId }: SegmentAddress): string | undefined {
  const parsed = parseSegmentDocument(row.document);
  if (!parsed.ok) return parsed.issues.map(({ path, message }) => `${path} ${message}`.trim()).join('; ');
  const { segment_id, environment: named, included_count, excluded_count } = parsed.value;
  if (segment_id !== segmentId || named !== environment) return `the document is that of ${segment_id} in ${named}`;
  if (parseIdList(row.included)?.count !== included_count) return 'the included list is not that of the document';
  if (parseIdList(row.excluded)?.count !== excluded_count) return 'the excluded list is not that of the document';
  return undefined;
}
