// The kernel: what the service calls, and where in the memory it finds what. Callers have checked every bound.
export { assemble, rowsWritten } from './assemble';
export {
  ARENA_AT,
  ARENA_BYTES,
  CELLS_AT,
  CELLS_MAX,
  END_AT,
  HEAD_BYTES,
  PLACES_AT,
  REPLY_AT,
  REPLY_BYTES,
  USERS_AT,
  USERS_BYTES,
  USERS_MAX,
} from './layout';
export { outcomes, packed, variants } from './rows';
export { scan } from './scan';
