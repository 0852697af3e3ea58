// Which flags a batch is about, as columns in a fixed order.
import type { CompiledFlag } from '../../core/compiled.ts';
import type { Columns } from '../../kernel/batch-columns.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';

/** The flags of one batch in one environment of one snapshot. Shared by all who ask for the same. */
export interface Plan {
  readonly environment: ServingEnvironment;
  /** One a column, as asked; for all flags those that the key may see, in order of flag_id. */
  readonly flagIds: readonly string[];
  /** undefined: unknown, archived, or out of the key's sight. */
  readonly flags: readonly (CompiledFlag | undefined)[];
  /** Made at the first use. */
  readonly columns: Columns;
}

export interface Plans {
  /** @param flagIds undefined: all. One named twice has two columns. */
  find(environment: ServingEnvironment, key: ServingKey, flagIds: readonly string[] | undefined): Plan;
}
