// What counts a key's minute for all nodes. Each node states what it holds of a window, and is told what it holds then: a
// statement that is lost, late or made twice changes nothing that the next one does not put right.

export interface Statement {
  readonly keyId: string;
  /** Ms since 1970 by the counter's clock. */
  readonly windowEndMs: number;
  /** Requests a minute. */
  readonly limit: number;
  /** Grows with each statement of this node about this key and window, from one primary to the next too. */
  readonly sequence: number;
  /** The sequence of the last one that was answered to this primary; 0: none. */
  readonly answered: number;
  /** Tokens the node keeps: what it let through, and what it has not given back. */
  readonly keep: number;
  /** More that it would like. */
  readonly want: number;
  /** Of what it keeps, what may still come back. */
  readonly unused: number;
}

export interface Holding {
  /** Tokens the node holds now: `keep` and what was granted. */
  readonly total: number;
  /** Tokens that nobody holds. */
  readonly left: number;
  /** Of those that other nodes hold, what may still come back. */
  readonly unusedElsewhere: number;
  /** False: the counter has lost what it knew of this window, and grants nothing of it. */
  readonly complete: boolean;
}

export interface Roll {
  /** The counter's clock, ms since 1970. */
  readonly nowMs: number;
  /** Nodes heard of in the last 10 s, this one included. */
  readonly nodes: number;
}

/** Every call rejects with TierUnavailable when the counter is away, or does not answer in time. */
export interface LeaseCounter {
  /** Undefined: the window is not the one that runs or the next. A number: the sequence that is to be exceeded. */
  state(nodeId: string, statement: Statement): Promise<Holding | number | undefined>;
  /** Says that the node lives. `knew`: it has heard of this counter before, so one that is empty has lost something. */
  beat(nodeId: string, knew: boolean): Promise<Roll>;
  /** The node ends. */
  leave(nodeId: string): Promise<void>;
}
