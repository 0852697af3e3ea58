// Hot path.
// Reads an evaluation's query without taking it apart into a map. It takes only what is plainly right; for anything
// else it says no, and the query is read again where issues are told.

import type { JsonObject } from '../../core/model.ts';
import { limits } from '../../limits.ts';
import { AttributesBuilder } from './attributes.ts';
import { decodeQueryPart } from './query.ts';

export class QueryScan {
  /** Never empty after a `read` that was right. */
  userId = '';
  /** Empty: not named. */
  environment = '';
  attributes: JsonObject | undefined = undefined;

  /** False: to be read the other way. */
  read(query: string): boolean {
    this.userId = '';
    this.environment = '';
    this.attributes = undefined;
    let builder: AttributesBuilder | undefined;
    const plain = query.indexOf('%') < 0 && query.indexOf('+') < 0 && query.indexOf('\uFFFD') < 0;
    const length = query.length;
    let at = 0;
    let count = 0;
    while (at < length) {
      let end = query.indexOf('&', at);
      if (end < 0) end = length;
      const equals = query.indexOf('=', at);
      count += 1;
      if (equals < 0 || equals >= end || count > limits.queryParametersMax) return false;
      const raw = query.slice(equals + 1, end);
      const value = plain ? raw : decodeQueryPart(raw);
      // An empty value is an empty user, an unnamed environment or an empty attribute: told apart elsewhere.
      if (value === undefined || value === '') return false;
      if (equals - at === 7 && query.startsWith('user_id', at)) {
        if (this.userId !== '') return false;
        this.userId = value;
      } else if (equals - at === 11 && query.startsWith('environment', at)) {
        if (this.environment !== '') return false;
        this.environment = value;
      } else if (query.startsWith('attr.', at)) {
        const path = query.slice(at + 5, equals);
        builder ??= new AttributesBuilder();
        const name = plain ? path : decodeQueryPart(path);
        if (name === undefined || builder.add(name, value) !== undefined) return false;
      } else return false;
      at = end + 1;
    }
    if (builder !== undefined) this.attributes = builder.build();
    return this.userId !== '';
  }
}
