// The documentation as a page: Swagger UI from its package on disk, read once, under a policy that lets nothing in
// from elsewhere. It works without a network.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { OpenCall, OpenHandlers } from '../http/call.ts';
import { matchesNone } from '../http/conditions.ts';
import { refuse } from '../http/refusal.ts';
import { emptyReply, type Reply } from '../http/reply.ts';

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Burgee API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript><p>This page needs scripts. The same document as JSON: <a href="/openapi.json">/openapi.json</a>.</p></noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/init.js"></script>
</body>
</html>
`;

const INIT = `window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis],
});
`;

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const PAGE_HEADERS = [
  ['Content-Security-Policy', POLICY],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Cache-Control', 'no-cache'],
] as const;

interface Asset {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly tag: string;
}

export function createDocsHandlers(): Pick<OpenHandlers, 'docs' | 'docsFile'> {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const fromDisk = (name: string, mediaType: string): [string, Asset] => [
    name,
    makeAsset(mediaType, readFileSync(join(folder, name))),
  ];
  const page = makeAsset('text/html; charset=utf-8', Buffer.from(PAGE));
  const files = new Map<string, Asset>([
    fromDisk('swagger-ui-bundle.js', 'text/javascript; charset=utf-8'),
    fromDisk('swagger-ui.css', 'text/css; charset=utf-8'),
    fromDisk('favicon-32x32.png', 'image/png'),
    ['init.js', makeAsset('text/javascript; charset=utf-8', Buffer.from(INIT))],
  ]);
  return {
    docs: (call) => serve(call, page),
    docsFile: (call) => {
      const asset = files.get(call.parameters[0] ?? '');
      return asset === undefined ? refuse('ROUTE_NOT_FOUND') : serve(call, asset);
    },
  };
}

function serve(call: OpenCall, asset: Asset): Reply {
  const headers = [...PAGE_HEADERS, ['ETag', asset.tag] as const];
  if (matchesNone(call.request.headers.get('if-none-match') ?? '', asset.tag)) return emptyReply(304, headers);
  return { status: 200, mediaType: asset.mediaType, body: asset.bytes, headers, revision: undefined };
}

function makeAsset(mediaType: string, bytes: Uint8Array): Asset {
  return { mediaType, bytes, tag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` };
}
