// Errors as OFREP has them: one of five codes, beside the key where one flag was asked for.
import { flagKeyOf } from './ofrep-path.ts';
import type { OfrepCode, Refusal } from './refusal.ts';

/** The same refusal, with the code that OFREP's clients are told; else they are told GENERAL. */
export function withOfrepCode(refusal: Refusal, ofrep: OfrepCode): Refusal {
  return { ...refusal, ofrep };
}

/** The body of an error under /ofrep. `path` as the route table has it. */
export function failureJson(refusal: Refusal, path: string): string {
  const key = flagKeyOf(path);
  return JSON.stringify({
    ...(key === undefined ? {} : { key }),
    errorCode: refusal.ofrep ?? (refusal.code === 'FLAG_NOT_FOUND' ? 'FLAG_NOT_FOUND' : 'GENERAL'),
    errorDetails: refusal.detail,
  });
}
