// What went wrong with Redis, and what the hot copy was good for. Shown only where there is a Redis.
import { Counter, Gauge, type Registry } from 'prom-client';

export interface RedisTallies {
  readonly isUp: boolean;
  readonly failures: ReadonlyMap<string, number>;
  readonly hotCopyReads: ReadonlyMap<string, number>;
  readonly hotCopyWrites: ReadonlyMap<string, number>;
}

const UP = { name: 'burgee_redis_up', help: '1 while Redis answers, 0 while it does not. Only with REDIS_URL.' };
const COUNTERS = {
  failures: {
    name: 'burgee_redis_commands_failed_total',
    help: 'Commands that Redis did not do, or that were not sent because it had just failed.',
    labelNames: ['reason'],
  },
  hotCopyReads: {
    name: 'burgee_hot_copy_reads_total',
    help: 'Looks for the snapshot in Redis: found, none, refused (not to be believed), failed.',
    labelNames: ['outcome'],
  },
  hotCopyWrites: {
    name: 'burgee_hot_copy_writes_total',
    help: "The snapshot to Redis: written, renewed, kept (another node's), too_large, failed.",
    labelNames: ['outcome'],
  },
} as const;

/** Name, labels and meaning of each, for the documentation. */
export const REDIS_METRICS: readonly { readonly name: string; readonly label: string; readonly help: string }[] = [
  { ...UP, label: '' },
  ...Object.values(COUNTERS).map(({ name, help, labelNames: [label] }) => ({ name, help, label })),
];

/** `show` sets them to what is to be seen next. */
export function createRedisMetrics(register: Registry): { show(tallies: RedisTallies): void } {
  let made: ((tallies: RedisTallies) => void) | undefined;

  function make(): (tallies: RedisTallies) => void {
    const registers = [register];
    const up = new Gauge({ ...UP, registers });
    const counters = Object.entries(COUNTERS).map(
      ([
        field,
        {
          name,
          help,
          labelNames: [label],
        },
      ]) => ({
        field: field as keyof typeof COUNTERS,
        label,
        counter: new Counter({ name, help, labelNames: [label], registers }),
      }),
    );
    return (tallies) => {
      up.set(tallies.isUp ? 1 : 0);
      for (const { field, label, counter } of counters) {
        counter.reset();
        for (const [value, count] of tallies[field]) counter.inc({ [label]: value }, count);
      }
    };
  }

  return {
    show(tallies) {
      made ??= make();
      made(tallies);
    },
  };
}
