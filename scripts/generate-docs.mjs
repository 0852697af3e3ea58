// Writes what is made from the sources: docs/limits.md from src/limits.ts and .env.example from src/config.ts. Run it
// after `npm run build`; the tests fail while one of them is out of date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { limitsMarkdown } = await import(new URL('../dist/limits.js', import.meta.url).href);
const { envExample } = await import(new URL('../dist/config.js', import.meta.url).href);

writeFileSync(join(root, 'docs/limits.md'), limitsMarkdown());
writeFileSync(join(root, '.env.example'), envExample());
