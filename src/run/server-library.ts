// What can serve here: whether several processes may share a port.

/**
 * Whether servers of node:http may listen on one port together, each getting its share of the connections: `reusePort`,
 * on Linux from Node 22.12 and 23.1 on.
 */
export function sharesPortByNode(platform: string, version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return platform === 'linux' && (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12));
}
