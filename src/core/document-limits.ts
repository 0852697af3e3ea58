// Every upper bound on a flag document. They live in core because the parser is what holds them; src/limits.ts shows
// them to the world with the others. Characters are UTF-16 code units: what `length` counts in every JSON client.

export const documentLimits = Object.freeze({
  /** Bytes of UTF-8 of the whole definition as the API shows it. It is parsed and compiled on every worker. */
  documentBytesMax: 1_048_576,
  /** Levels of arrays and objects in a body. Everything below recurses, so this bounds the stack. */
  documentDepthMax: 64,
  /** Problems reported at once. More than a person reads. */
  issuesMax: 50,
  /** Characters of a flag's or a rule's description. A paragraph or ten, not a manual. */
  descriptionCharsMax: 4096,
  /** Tags on a flag. Keys and lists are filtered by them one by one. */
  tagsMax: 64,
  /** Characters of a tag. */
  tagCharsMax: 128,
  /** Characters of the owner: a name, an address or a team. */
  ownerCharsMax: 256,
  /** Characters of the salt; it is hashed with every user. */
  saltCharsMax: 256,
  /** Characters of an attribute's name, dots included. */
  attributeCharsMax: 256,
  /** Variants of a flag. The binary protocol names a variant by one byte and keeps 255 for unknown. */
  variantsMax: 250,
  /** Characters of a variant's name. */
  variantNameCharsMax: 128,
  /** Bytes of the JSON text of one variant's value. It is copied into every reply that serves it. */
  valueBytesMax: 65_536,
  /** Levels of arrays and objects in one variant's value. */
  valueDepthMax: 32,
  /** Ranges of one split; reweighting past it needs a fresh layout ("reallocate": true). */
  allocationRangesMax: 256,
  /** Entries of `targets`. */
  targetsMax: 256,
  /** User ids in all `targets` of a flag together. Longer lists are what segments are for. */
  targetUserIdsMax: 10_000,
  /** Bytes of UTF-8 of a user id, the same as in an evaluation: the binary protocol counts them in 16 bits. */
  userIdBytesMax: 65_535,
  /** Prerequisites of a flag; each is evaluated first. */
  prerequisitesMax: 32,
  /** Flags in a chain of prerequisites below one flag. */
  prerequisiteDepthMax: 10,
  /** Evaluations of prerequisites that one evaluation may need in all, a flag that is met twice counted twice. */
  prerequisiteEvaluationsMax: 256,
  /**
   * Conditions, groups and segments that one evaluation looks at, those of prerequisites and segments included. A segment
   * may name thousands and so may each of them: without an end here five rows could keep a worker busy for years. A long
   * text or array counts for as many conditions as its comparison takes (core/condition-steps.ts).
   */
  conditionEvaluationsMax: 100_000,
  /** Segments in a chain: a segment's condition may name another segment. */
  segmentDepthMax: 5,
  /** Segments that one segment may ask through its condition, direct and indirect, one asked twice counted twice. */
  segmentEvaluationsMax: 256,
  /** Rules of a flag; they are tried in order. */
  rulesMax: 256,
  /** Conditions, groups and segments in all rules of a flag together. */
  conditionsMax: 2048,
  /** Levels of `all` and `any` in a rule's `when`. */
  conditionDepthMax: 16,
  /** Values of one condition. Longer lists are what segments are for. */
  conditionValuesMax: 10_000,
  /** Characters of a string among a condition's values. */
  conditionValueCharsMax: 4096,
  /** Characters of a `matches` pattern. */
  patternCharsMax: 1024,
  /** Steps, of about 20 ns, to compile all patterns of a flag and make their tables, when it is written and published. */
  patternStepsMax: 250_000,
  /** Characters of a `contains` value. The table of the longest one just fits into its limit. */
  containsCharsMax: 250,
  /** Passes over a text that all `contains` and `matches` of a flag may need: one for a pattern or a table of values. */
  searchPassesMax: 32,
});
