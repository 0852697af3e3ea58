// Where what stands in the image of columns, in words of four bytes. native/README.md draws it; native/assembly/layout.ts
// says the same to the kernel.

/** The head: columns, then the bytes from the image's start to the three templates of a row. */
export const COUNT_WORD = 0;
export const VARIANTS_TEMPLATE_WORD = 1;
export const ENABLED_TEMPLATE_WORD = 2;
export const OUTCOMES_TEMPLATE_WORD = 3;
/** Four each: for users of length & 3 = 0, 1, 2, 3 the groups' descriptors and how many there are. */
export const GROUPS_WORD = 4;
export const GROUP_COUNTS_WORD = 8;
export const HEAD_WORDS = 12;

/** A descriptor: kind, whole blocks, columns, bytes from the image's start to its vectors. */
export const GROUP_WORDS = 4;
/** Its lanes have two ranges each, and so one edge. */
export const KIND_TWO = 0;
/** Its lanes have records of ranges. */
export const KIND_MANY = 1;

export const LANES = 4;
/**
 * A vector is rows of LANES words. First where its cells are and the suffixes' bytes; then what is served; then the
 * first word times C1; the scrambled later blocks; with whole blocks the scrambled tail.
 */
export const COLUMNS_ROW = 0;
export const LENGTHS_ROW = 1;
/** KIND_TWO: the edge, and the cell below it and not below it. */
export const EDGE_ROW = 2;
export const BELOW_ROW = 3;
export const ABOVE_ROW = 4;
export const TWO_FIRST_ROW = 5;
/** KIND_MANY: bytes from the image's start to the record. */
export const RANGES_ROW = 2;
export const MANY_FIRST_ROW = 3;

/** A record: chunks of edges, three words for nothing, the edges of 16 bits, then a cell for each range. */
export const RECORD_HEAD_WORDS = 4;
export const CHUNK_EDGES = 8;
/** Above every bucket: the last edge, and what fills its chunk. As an i16 it is positive. */
export const LAST_EDGE = 0x7fff;

/** A cell in a word: the variant's index, 255 where the flag is on, the outcome's index in the upper half. */
export const CELL_ENABLED_SHIFT = 8;
export const CELL_OUTCOME_SHIFT = 16;
export const NO_VARIANT = 255;

/** Templates and records begin at such bytes, and templates are zero up to the next. */
export const ALIGNMENT = 16;
