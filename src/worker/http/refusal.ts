// A request that is not served, as a value: the code says which of the public errors, the detail what it was here.
import type { Issue } from '../../core/model.ts';
import { type ErrorCode, errors } from '../../errors.ts';

export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly issues: readonly Issue[];
  /** Header lines beyond those of every problem: Allow, Retry-After. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** IN_USE: the flag_ids that need it. */
  readonly dependents?: readonly string[];
  /** What OFREP's clients are told, where it is more than GENERAL or FLAG_NOT_FOUND. */
  readonly ofrep?: OfrepCode;
}

export type OfrepCode = 'PARSE_ERROR' | 'TARGETING_KEY_MISSING' | 'INVALID_CONTEXT' | 'GENERAL' | 'FLAG_NOT_FOUND';

/** `detail` defaults to the code's sentence. */
export function refuse(code: ErrorCode, detail?: string, headers: Refusal['headers'] = []): Refusal {
  return { code, detail: detail ?? errors[code].title, issues: [], headers };
}

/** 400 with what is wrong and where; the detail is the first issue in words. */
export function refuseIssues(issues: readonly Issue[], code: ErrorCode = 'INVALID_REQUEST'): Refusal {
  const first = issues[0];
  let detail: string = errors[code].title;
  if (first !== undefined) detail = first.path === '' ? first.message : `${first.path}: ${first.message}`;
  return { code, detail, issues, headers: [] };
}

export function invalid(path: string, message: string): Refusal {
  return refuseIssues([{ path, message }]);
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'code' in value && 'detail' in value;
}

/** The body of an application/problem+json reply (RFC 9457). */
export function problemJson(refusal: Refusal, requestId: string): string {
  const { status, title } = errors[refusal.code];
  return JSON.stringify({
    type: `urn:burgee:problem:${refusal.code}`,
    title,
    status,
    detail: refusal.detail,
    code: refusal.code,
    request_id: requestId,
    ...(refusal.issues.length === 0 ? {} : { errors: refusal.issues }),
    ...(refusal.dependents === undefined ? {} : { dependents: refusal.dependents }),
  });
}
