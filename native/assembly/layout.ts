// Where what stands: ../README.md draws it, and src/kernel/columns-layout.ts and fragments-layout.ts say the same to
// those who make the images. Numbers of this memory are exported, so that they are written once.

/** Behind each area, for what reads or writes 16 bytes at a time. */
const SLACK: u32 = 64;

export const HEAD_BYTES: u32 = 24;
export const USERS_BYTES: u32 = 1_048_576;
export const USERS_MAX: u32 = 10_000;
export const CELLS_MAX: u32 = 131_072;
export const REPLY_BYTES: u32 = 1_048_576;
export const ARENA_BYTES: u32 = 8_388_608;
/** Bytes of a user's place: where it begins, its bytes, where its attributes begin, their bytes; u32 each. */
export const PLACE_BYTES: u32 = 16;

export const USERS_AT: u32 = 64;
export const PLACES_AT: u32 = USERS_AT + USERS_BYTES + SLACK;
/** HEAD_BYTES before it belong to it too; SLACK is more than they. */
export const CELLS_AT: u32 = PLACES_AT + USERS_MAX * PLACE_BYTES + SLACK;
export const ROW_AT: u32 = CELLS_AT + CELLS_MAX * 2 + SLACK;
export const REPLY_AT: u32 = ROW_AT + CELLS_MAX + SLACK;
export const ARENA_AT: u32 = REPLY_AT + REPLY_BYTES + SLACK;
export const END_AT: u32 = ARENA_AT + ARENA_BYTES + SLACK;

// Columns: the head of an image, by bytes.
export const IMAGE_COUNT: u32 = 0;
export const IMAGE_VARIANTS: u32 = 4;
export const IMAGE_ENABLED: u32 = 8;
export const IMAGE_OUTCOMES: u32 = 12;
export const IMAGE_GROUPS: u32 = 16;
export const IMAGE_GROUP_COUNTS: u32 = 32;

// A descriptor.
export const GROUP_KIND: u32 = 0;
export const GROUP_BLOCKS: u32 = 4;
export const GROUP_LANES: u32 = 8;
export const GROUP_VECTORS: u32 = 12;
export const GROUP_BYTES: u32 = 16;
export const KIND_TWO: u32 = 0;

// A vector: rows of 16 bytes. Immediates of loads are usize.
export const ROW_BYTES: u32 = 16;
export const COLUMNS: usize = 0;
export const LENGTHS: usize = 16;
export const EDGE: usize = 32;
export const BELOW: usize = 48;
export const ABOVE: usize = 64;
export const TWO_FIRST: u32 = 80;
export const RANGES: usize = 32;
export const MANY_FIRST: u32 = 48;

// A record of ranges.
export const RECORD_EDGES: u32 = 16;
export const CHUNK_BYTES: u32 = 16;
