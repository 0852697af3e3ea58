// What revisions a node knows to have existed, and whether the store has lost some of them. A restored backup or a failover
// that lost commits makes revisions a second time, with other content: nobody may write until an operator accepted that.

/** Stores whose revisions are remembered; a node sees another one at most when somebody exchanges the database. */
const EPOCHS_MAX = 8;
/** What Redis says is not trusted: a number that no store reaches must not stop the writes of all. */
const REVISION_MAX = 2 ** 48;

export interface KnownRevisions {
  /** A worker serves it, or somebody noted it: the store has yet to be asked about it. */
  witnessed(epoch: string, revision: number): void;
  /** A write of this node made it. */
  made(epoch: string, revision: number): void;
  /** The highest known of this store; 0: none. */
  highest(epoch: string): number;
  /** The highest that was witnessed. */
  highestWitnessed(epoch: string): number;
  /** Set once the store was found without what is known, until accepted(). */
  readonly loss: string | undefined;
  /** The highest that was known when the store was found without it. What is told later may be of what was accepted. */
  readonly lostRevision: number;
  /** The store was asked after `known` was known, and is at `revision`, below it. */
  lost(revision: number, known: number): void;
  accepted(): void;
}

export function createKnownRevisions(): KnownRevisions {
  const witnessed = new Map<string, number>();
  const made = new Map<string, number>();
  let loss: string | undefined;
  let lostRevision = 0;

  function note(into: Map<string, number>, epoch: string, revision: number): void {
    if (epoch === '' || !(revision > (into.get(epoch) ?? 0)) || revision > REVISION_MAX) return;
    into.set(epoch, revision);
    for (const oldest of into.keys()) {
      if (into.size <= EPOCHS_MAX) break;
      into.delete(oldest);
    }
  }

  return {
    witnessed: (epoch, revision) => note(witnessed, epoch, revision),
    made: (epoch, revision) => note(made, epoch, revision),
    highest: (epoch) => Math.max(witnessed.get(epoch) ?? 0, made.get(epoch) ?? 0),
    highestWitnessed: (epoch) => witnessed.get(epoch) ?? 0,
    get loss() {
      return loss;
    },
    get lostRevision() {
      return lostRevision;
    },
    lost(revision, known) {
      lostRevision = Math.max(lostRevision, known);
      loss ??= `the store is at revision ${revision}, ${known} was published`;
    },
    accepted() {
      loss = undefined;
      lostRevision = 0;
    },
  };
}
