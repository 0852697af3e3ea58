// What Redis does in one step, in the Lua and with the commands that every server from Redis 6 on has. A value is taken
// for a snapshot by its first eight bytes and its revision is read from its header, where src/snapshot/encoding.ts puts
// it: there is no second place that could say another one. Numbers of Lua are exact up to 2^53, and so are revisions; what
// claims more is no snapshot. They are answered as texts, for the client's integers are less exact.
import { redisScript } from './connection.ts';

const REVISION_OF = `
local function revisionOf(head)
  if type(head) ~= 'string' or #head < 48 or string.sub(head, 1, 8) ~= ARGV[1] then return 0 end
  local revision = 0
  for at = 32, 25, -1 do revision = revision * 256 + string.byte(head, at) end
  if revision > 9007199254740991 then return 0 end
  return revision
end
local function text(number) return string.format('%.0f', number) end
local head = redis.pcall('GETRANGE', KEYS[1], 0, 47)
local there = revisionOf(head)
`;

/** KEYS: the copy. ARGV: the first 8 bytes. Its revision and what is left of its time, ms; nothing: there is none. */
export const standing = redisScript(`${REVISION_OF}
if there == 0 then return false end
return {text(there), redis.call('PTTL', KEYS[1])}
`);

/**
 * KEYS: the copy, the claim. ARGV: the first 8 bytes, bytes 24 to 47 (revision and sums), the revision, time of the copy,
 * time of the claim, both ms. The revision that is there, and 1 when it is this node that has to write: only one has to.
 */
export const renew = redisScript(`${REVISION_OF}
local mine = tonumber(ARGV[3])
if there > mine then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 or left > tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
  return {text(there), 0}
end
if there == mine and string.sub(head, 25, 48) == ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {text(there), 0}
end
if redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[5], 'NX') then return {text(there), 1} end
return {text(there), 0}
`);

/** KEYS: the copy, the claim. ARGV: the first 8 bytes, the revision, its time, the value. The revision that is there then. */
export const put = redisScript(`${REVISION_OF}
redis.call('DEL', KEYS[2])
local mine = tonumber(ARGV[2])
if there > mine then return text(there) end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3])
return text(mine)
`);

/** KEYS: the pieces. ARGV: the next. What comes too late must not stay without an end: then nothing is done. */
export const append = redisScript(`
if redis.call('PTTL', KEYS[1]) <= 0 then return 0 end
return redis.call('APPEND', KEYS[1], ARGV[1])
`);

/** The same of a value that came in pieces. KEYS: the copy, the claim, the pieces. ARGV: as above, and the value's length. */
export const putPieces = redisScript(`${REVISION_OF}
redis.call('DEL', KEYS[2])
local mine = tonumber(ARGV[2])
if there > mine or redis.call('STRLEN', KEYS[3]) ~= tonumber(ARGV[4]) then
  redis.call('DEL', KEYS[3])
  return text(there)
end
redis.call('RENAME', KEYS[3], KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return text(mine)
`);

/**
 * KEYS: the highest. ARGV: a revision, it with its signature, and the text that may be written over whatever it says
 * (found to be forged). Resolves with the text that is there and says as much or more; nothing: this one is there.
 */
export const note = redisScript(`
local text = redis.pcall('GET', KEYS[1])
if type(text) == 'string' and text ~= ARGV[3] then
  local digits = string.match(text, '^(%d+):')
  if digits and #digits <= 16 and tonumber(digits) >= tonumber(ARGV[1]) then return text end
end
redis.call('SET', KEYS[1], ARGV[2])
return false
`);
