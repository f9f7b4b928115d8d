/**
 * The Lua for entries that are pending. XACK, XCLAIM and XDEL ask nobody whose an entry is, so every one of these does:
 * KEYS[1] is the stream, ARGV[1] the group, ARGV[2] the consumer that asks. See redis-scripts.ts for what they have in common.
 */

/**
 * `owner(id)`: the consumer that has the entry pending and how often it was delivered; empty when nobody has it; nil when
 * the group or the stream is gone, which the next read mends.
 */
const owner = `
local function owner(id)
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  if pending.err then
    if string.find(pending.err, 'NOGROUP', 1, true) then return nil end
    error(pending.err)
  end
  if not pending[1] then return '' end
  return pending[1][2], pending[1][4]
end
`;

/** ARGV[3…] ids. Resets the idle time of those that are ours; returns the others. */
export const heartbeat = `${owner}
local others = {}
for index = 3, #ARGV do
  if owner(ARGV[index]) == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[index], 'JUSTID')
  else
    others[#others + 1] = ARGV[index]
  end
end
return others
`;

/**
 * Writes down failures; the entries stay pending and ours. KEYS[2] bookkeeping. ARGV[3…] an id, its history as JSON, and
 * so on. Under OOM the XCLAIM, which is never refused, opens the way for the HSET; where it does not, the consumer's own
 * memory of the failure has to do. Returns the ids that are not ours.
 */
export const retry = `${owner}
local others = {}
for index = 3, #ARGV, 2 do
  local id = ARGV[index]
  if owner(id) == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
    local kept = redis.pcall('HSET', KEYS[2], id, ARGV[index + 1])
    if type(kept) == 'table' and not string.find(kept.err, 'OOM', 1, true) then error(kept.err) end
    redis.call('HDEL', KEYS[2], 'crash:' .. id)
  else
    others[#others + 1] = id
  end
end
return others
`;

/**
 * Moves an entry to its dead letters, once. KEYS[2] bookkeeping, KEYS[3] dead letters. ARGV[3] id, ARGV[4] body. The XADD
 * comes first: when it fails, nothing is acknowledged. Returns 1 moved, 0 settled before, -1 not ours.
 */
export const deadLetter = `${owner}
local id = ARGV[3]
local owned_by = owner(id)
if owned_by == '' then return 0 end
if owned_by ~= ARGV[2] then return -1 end
redis.call('XADD', KEYS[3], '*', 'data', ARGV[4])
redis.call('XACK', KEYS[1], ARGV[1], id)
redis.call('HDEL', KEYS[2], id, 'crash:' .. id)
return 1
`;

/**
 * Gives entries back: to a consumer that nobody is, idle for long, delivered never. So any reclaim takes them at once, and
 * the giver may be removed. KEYS[2] bookkeeping. ARGV[3] that consumer, ARGV[4…] an id, its idle time, the crashes it is to
 * have or empty to let them be, and so on. Returns the ids that are not ours.
 */
export const giveBack = `${owner}
local others = {}
for index = 4, #ARGV, 3 do
  local id, idle, crashes = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  local owned_by = owner(id)
  if owned_by == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, id, 'IDLE', idle, 'RETRYCOUNT', 0, 'JUSTID')
    if crashes == '0' then redis.call('HDEL', KEYS[2], 'crash:' .. id)
    elseif crashes ~= '' then redis.call('HSET', KEYS[2], 'crash:' .. id, crashes) end
  elseif owned_by ~= ARGV[3] then
    others[#others + 1] = id
  end
end
return others
`;

/** Counts a start that has no outcome yet. KEYS[2] bookkeeping. ARGV[3] id. Returns 1, or 0 when the entry is not ours. */
export const recordStart = `${owner}
if owner(ARGV[3]) ~= ARGV[2] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'JUSTID')
redis.call('HINCRBY', KEYS[2], 'crash:' .. ARGV[3], 1)
return 1
`;

/**
 * `take(id, deliveries)`: makes an entry ours and adds [id, fields, deliveries before, history, crashes] to `taken`. An
 * entry that was trimmed or deleted under the group is acknowledged and added to `lost`: before Redis 7, XCLAIM would
 * leave it pending for ever.
 */
const take = `
local taken, lost = {}, {}
local function take(id, deliveries)
  local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id)[1]
  if entry then
    local known = redis.call('HMGET', KEYS[2], id, 'crash:' .. id)
    taken[#taken + 1] = { id, entry[2], deliveries, known[1], known[2] }
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('HDEL', KEYS[2], id, 'crash:' .. id)
    lost[#lost + 1] = id
  end
end
`;

/** Entries that are ours, fresh. KEYS[2] bookkeeping. ARGV[3…] ids. Returns taken, lost; the others are not ours. */
export const retake = `${owner}${take}
for index = 3, #ARGV do
  local owned_by, deliveries = owner(ARGV[index])
  if owned_by == ARGV[2] then take(ARGV[index], deliveries) end
end
return { taken, lost }
`;

/**
 * Takes over what was given back. KEYS[2] bookkeeping. ARGV[3] the consumer that nobody is, ARGV[4] how many at most, ARGV[5]
 * for how long it must look untouched. Returns taken, lost.
 */
export const takeGivenBack = `${take}
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[5], '-', '+', ARGV[4], ARGV[3])) do
  take(pending[1], pending[4])
end
return { taken, lost }
`;

/**
 * Takes over entries that nobody has touched for ARGV[3] ms, from the cursor ARGV[4], ARGV[5] at most. KEYS[2] bookkeeping.
 * XAUTOCLAIM looks at ten times as many and may come back with none and a cursor: only the cursor says that it is through.
 * With JUSTID it tells also of deleted entries in every version, and does not count. Returns taken, lost, the next cursor.
 */
export const reclaim = `${owner}${take}
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5], 'JUSTID')
for _, id in ipairs(claimed[2]) do
  local _, deliveries = owner(id)
  take(id, deliveries or 1)
end
for _, id in ipairs(claimed[3] or {}) do
  redis.call('HDEL', KEYS[2], id, 'crash:' .. id)
  lost[#lost + 1] = id
end
return { taken, lost, claimed[1] }
`;
