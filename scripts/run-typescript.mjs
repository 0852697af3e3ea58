// Lets plain `node` run TypeScript files, by erasing their types as they are loaded:
//   node --import ./scripts/run-typescript.mjs chaos/faults.ts
// Node does this itself from 22.18 on; 20 is our oldest. Types are checked by `npm run typecheck`, not here.
import { register } from 'node:module';

register('./erase-types.mjs', import.meta.url);
