// What each outcome of each flag of a list adds to a JSON reply, as bytes, laid out for the kernel.

export interface Fragments {
  readonly count: number;
  /** In native/README.md is what stands where. */
  readonly image: Uint8Array;
}

/**
 * @param columns for each column the text of each outcome, by the outcome's index; a column without a flag has one text
 * @param bytesMax undefined is returned when the image would be larger
 */
export function makeFragments(_columns: readonly (readonly string[])[], _bytesMax: number): Fragments | undefined {
  throw new Error('to be written');
}
