/**
 * Removes a key for which there is nothing to do and has been nothing for ARGV[3] ms: all of it or nothing, in one step, so
 * that no entry is published in between. ARGV[1] token, ARGV[2] key, ARGV[4] number of categories, ARGV[5] of streams
 * (lanes included), ARGV[6…] the groups that are to read them. KEYS[1] the lease, the indexes, the streams, their dead
 * letters; then for each group its lease, its generation, what is replayed to it of each stream, and the bookkeeping of
 * each of both. A stream on which one of the groups has yet to begin is still needed. A group whose key another owner has
 * keeps its generation for as long. Returns 1, or 0 when the key is not to go.
 */
export const reap = `
local key, idle, categories, width = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - idle
local streams, letters, groups = 1 + categories, 1 + categories + width, #ARGV - 5
local function group_at(number) return 1 + categories + 2 * width + (number - 1) * (2 + 3 * width) end
local function facts(fields)
  local of = {}
  for index = 1, #fields, 2 do of[fields[index]] = fields[index + 1] end
  return of
end
local function is_cold(name, needed)
  local info = redis.pcall('XINFO', 'STREAM', name)
  if info.err then return string.find(info.err, 'no such key', 1, true) end
  local stream, seen = facts(info), {}
  if tonumber(string.match(stream['last-generated-id'], '^%d+')) > before then return false end
  for _, fields in ipairs(redis.call('XINFO', 'GROUPS', name)) do
    local group = facts(fields)
    seen[group.name] = true
    if group.pending > 0 then return false end
    if redis.call('XRANGE', name, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1] then return false end
  end
  for _, group in ipairs(needed) do
    if stream.length > 0 and not seen[group] then return false end
  end
  return true
end
local all = {}
for group = 1, groups do all[group] = ARGV[5 + group] end
for stream = 1, width do
  if not is_cold(KEYS[streams + stream], all) then return 0 end
  if redis.call('EXISTS', KEYS[letters + stream]) == 1 and redis.call('XLEN', KEYS[letters + stream]) > 0 then return 0 end
  for group = 1, groups do
    if not is_cold(KEYS[group_at(group) + 2 + stream], { all[group] }) then return 0 end
  end
end
for category = 1, categories do redis.call('SREM', KEYS[1 + category], key) end
for stream = 1, 2 * width do redis.call('DEL', KEYS[streams + stream]) end
for group = 1, groups do
  local first = group_at(group)
  for each = first + 3, first + 2 + 3 * width do redis.call('DEL', KEYS[each]) end
  local held = redis.call('GET', KEYS[first + 1])
  if held and held ~= ARGV[1] then redis.call('PEXPIRE', KEYS[first + 2], idle)
  else redis.call('DEL', KEYS[first + 1], KEYS[first + 2]) end
end
return 1
`;
