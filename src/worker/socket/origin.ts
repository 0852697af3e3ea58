// Which pages may open a WebSocket. A browser asks no preflight for one, and sends the page's origin for the server to
// judge; what is no browser sends none, and its key is all that counts.

/** `allowed`: exact origins, as browsers send them. A page that this server itself delivered is always allowed. */
export function createOriginCheck(allowed: readonly string[]): (origin: string | undefined, host: string) => boolean {
  const listed = new Set(allowed);
  return (origin, host) => {
    if (origin === undefined || listed.has(origin)) return true;
    const own = /^https?:\/\/(.+)$/i.exec(origin)?.[1];
    return own !== undefined && own.toLowerCase() === host.toLowerCase();
  };
}
