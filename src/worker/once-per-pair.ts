// Work between two things that many wait for at once, done once and in steps: whoever waits moves it on, and none of
// them does it again.

/** Work in steps: each `next` takes well under a millisecond, and the last returns the result. */
export type Steps<Result> = Generator<undefined, Result>;

/** Results live as long as both things of their pair. */
export function oncePerPair<A extends object, B extends object, Result>(
  work: (a: A, b: B) => Steps<Result>,
): (a: A, b: B) => Steps<Result> {
  const begun = new WeakMap<A, WeakMap<B, Begun<Result>>>();

  function find(a: A, b: B): Begun<Result> {
    let ofA = begun.get(a);
    if (ofA === undefined) begun.set(a, (ofA = new WeakMap()));
    let found = ofA.get(b);
    if (found === undefined) ofA.set(b, (found = { steps: work(a, b), result: undefined }));
    return found;
  }

  return function* (a, b) {
    const found = find(a, b);
    while (found.result === undefined) {
      const { done, value } = found.steps.next();
      if (done === true) found.result = { value };
      else yield;
    }
    return found.result.value;
  };
}

interface Begun<Result> {
  readonly steps: Steps<Result>;
  /** undefined: not there yet. */
  result: { readonly value: Result } | undefined;
}
