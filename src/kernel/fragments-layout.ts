// Where what stands in the image of fragments, in words of four bytes. native/README.md draws it.

/** The head: columns. */
export const FRAGMENT_COLUMNS_WORD = 0;
/** Then for each column the number of its first entry, and one number more behind the last. */
export const FIRST_ENTRIES_WORD = 1;
/** Then the entries, an outcome each: bytes from the image's start to the text, and how many there are. */
export const ENTRY_WORDS = 2;
/** Texts are read in pieces of so many bytes: the image goes on so far behind the last. */
export const TEXT_SLACK_BYTES = 16;
