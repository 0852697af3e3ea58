// SemVer 2.0 versions in their order of precedence, for the analyser. Numbers stay texts: they may have any length.

export interface Version {
  readonly numbers: readonly string[];
  /** Empty: a release, which is above all its pre-releases. */
  readonly prerelease: readonly string[];
}

/** @param value a version that the parser let in; undefined for anything that is no text */
export function readVersion(value: string | number | boolean): Version | undefined {
  if (typeof value !== 'string') return undefined;
  const [core = ''] = value.split('+', 1);
  const dash = core.indexOf('-');
  return dash < 0
    ? { numbers: core.split('.'), prerelease: [] }
    : { numbers: core.slice(0, dash).split('.'), prerelease: core.slice(dash + 1).split('.') };
}

/** Below 0, 0 or above 0. */
export function compareVersions(a: Version, b: Version): number {
  const byNumbers = compareParts(a.numbers, b.numbers);
  if (byNumbers !== 0) return byNumbers;
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length;
  return compareParts(a.prerelease, b.prerelease);
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareIdentifiers(a[i] as string, b[i] as string);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers are below texts; they have no leading zeros, so that the longer one is the greater. */
function compareIdentifiers(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  if (aIsNumber && a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}
