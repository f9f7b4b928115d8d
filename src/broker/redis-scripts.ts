/**
 * The Lua of the Redis broker. Each script is sent whole, by EVAL: with a batch of entries behind it, its few hundred
 * bytes cost nothing measurable, and there is no NOSCRIPT to answer, which would let a later batch overtake an earlier one.
 *
 * Redis keeps the effects of a script that stops half-way. So within one, what may fail comes first: under OOM, XADD is
 * refused, while XACK and XCLAIM never are, and after one of those the rest of the script may write.
 *
 * Where nothing else is said, KEYS[1] is the stream, and ARGV[1] and ARGV[2] are the group and the consumer. What concerns
 * entries that are pending is in redis-pending-scripts.ts.
 */

const appendWith = (append: string, prepare = '', last = '#ARGV - 2'): string => `
local function numbers(text)
  local list = {}
  for number in string.gmatch(text, '%d+') do list[#list + 1] = tonumber(number) end
  return list
end
local stream_of, key_of, stopped, results = numbers(ARGV[1]), nil, {}, {}${prepare}
for index = 1, ${last} do
  if key_of and stopped[key_of[index]] then
    results[index] = '='
  else
    local key, body = KEYS[stream_of[index] or 1], ARGV[index + 2]
    local id = ${append}
    if type(id) == 'table' then
      key_of = key_of or numbers(ARGV[2])
      if key_of[index] ~= 0 then stopped[key_of[index]] = true end
      id = '-' .. id.err
    end
    results[index] = id
  end
end
return results
`;

/**
 * Appends entries in their order, one by one, so that one refusal does not stop the others.
 *
 * KEYS streams. ARGV[1] for each entry the number of its stream among KEYS, or empty when there is one stream. ARGV[2]
 * for each entry a number that stands for its key, 0 for none. ARGV[3…] bodies. Returns for each entry its id, or `-` and
 * the error, or `=` where it was not attempted since one before it with the same key was refused.
 */
export const publish = appendWith("redis.pcall('XADD', key, '*', 'data', body)");

const preparePartitions = `
local partition_of = {}
for _, each in ipairs(cjson.decode(ARGV[#ARGV])) do partition_of[KEYS[each[1]]] = { KEYS[each[2]], KEYS[each[3]], each[4] } end
local function append(key, body)
  local partition = partition_of[key]
  if not partition then return redis.pcall('XADD', key, '*', 'data', body) end
  local added = redis.pcall('SADD', partition[1], partition[3])
  if type(added) == 'table' then return added end
  local id = redis.pcall('XADD', key, '*', 'data', body)
  if type(id) ~= 'table' then
    partition_of[key] = nil
    redis.pcall('XADD', partition[2], 'MAXLEN', '~', 10000, '*', 'key', partition[3])
  end
  return id
end`;

/**
 * The same where some streams are partitions: the key of each is put into the index before the first entry, so that there
 * is never one that no reader of the index finds, and behind it those who wait are told of the key; nothing depends on that.
 * KEYS streams, indexes, and what is listened to beside each index. The last of ARGV is JSON, for each partition [number of
 * the stream, number of the index, number of what is listened to, key].
 */
export const publishPartitioned = appendWith('append(key, body)', preparePartitions, '#ARGV - 3');

/** The same for streams that are lists. Returns the new length in the place of an id. */
export const push = appendWith("redis.pcall('RPUSH', key, body)");

/**
 * What a group has not read of a list, and the move of its position, in one step: so that no two consumers read the same.
 * A position behind the end stands for a list that was there before. KEYS[2] position. ARGV[1] how many at most. Returns
 * the position of the first, and the items.
 */
export const shift = `
local position = tonumber(redis.call('GET', KEYS[2]) or 0)
if position > redis.call('LLEN', KEYS[1]) then position = 0 end
local items = redis.call('LRANGE', KEYS[1], position, position + tonumber(ARGV[1]) - 1)
if #items > 0 then redis.call('SET', KEYS[2], position + #items) end
return { position, items }
`;

/**
 * Makes the group at the beginning of the stream where it does not exist. XINFO comes first because XGROUP CREATE is
 * refused under OOM even if the group is there. Returns 1 when it was made.
 */
export const ensureGroup = `
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err then
  for _, group in ipairs(groups) do
    if group[2] == ARGV[1] then return 0 end
  end
elseif not string.find(groups.err, 'no such key', 1, true) then
  return groups
end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
return 1
`;

/**
 * New entries of several streams, each of one or more lanes. Every stream gets an equal share first, so that none waits for
 * another; those that had more share what is left. Within a stream, a later lane is read only when the earlier ones are
 * empty. KEYS the lanes of the first stream, of the second, and so on. ARGV[3] how many entries at most, ARGV[4] the numbers
 * of lanes, ARGV[5] whose turn is first, from 0. Returns [stream, entries] pairs as XREADGROUP does; one stream may have two.
 */
export const readInTurn = `
local read, left, first, sizes, key = {}, tonumber(ARGV[3]), {}, {}, 1
for size in string.gmatch(ARGV[4], '%d+') do
  first[#first + 1], sizes[#sizes + 1] = key, tonumber(size)
  key = key + tonumber(size)
end
local function take(stream, limit)
  local taken = 0
  for index = first[stream], first[stream] + sizes[stream] - 1 do
    if taken >= limit then break end
    local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', limit - taken, 'STREAMS', KEYS[index], '>')
    if reply then
      read[#read + 1] = reply[1]
      taken = taken + #reply[1][2]
    end
  end
  left = left - taken
  return taken
end
local share, more = math.ceil(left / #sizes), {}
for turn = 0, #sizes - 1 do
  local stream, limit = (tonumber(ARGV[5]) + turn) % #sizes + 1, math.min(share, left)
  if limit > 0 and take(stream, limit) == limit then more[#more + 1] = stream end
end
for _, stream in ipairs(more) do
  if left > 0 then take(stream, left) end
end
return read
`;

/**
 * Removes consumers that have nothing pending: our own, and those that were not heard of for ARGV[3] ms. To check and to
 * delete is one step: a consumer that is deleted takes its pending entries with it. Returns how many.
 */
export const leave = `
local consumers, removed = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1]), 0
if consumers.err then return 0 end
for _, fields in ipairs(consumers) do
  local of = {}
  for index = 1, #fields, 2 do of[fields[index]] = fields[index + 1] end
  if of.pending == 0 and (of.name == ARGV[2] or of.idle > tonumber(ARGV[3])) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
    removed = removed + 1
  end
end
return removed
`;

/**
 * How a group stands. Returns its lag (nil where it is not known), the id of the first entry it has not read (nil for none),
 * how many are pending, and the lowest id among them. Where there is no such group, all entries are unread. Where Redis does
 * not tell the lag (before 7.0, and after deletions) it is counted, up to a thousand entries or, by the size of the first
 * one, about a megabyte.
 */
export const inspect = `
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then
  if string.find(groups.err, 'no such key', 1, true) then return { 0, false, 0, false } end
  return groups
end
local lag, read, pending = redis.call('XLEN', KEYS[1]), '0-0', { 0, false }
for _, fields in ipairs(groups) do
  local of = {}
  for index = 1, #fields, 2 do of[fields[index]] = fields[index + 1] end
  if of.name == ARGV[1] then
    lag, read = of.lag, of['last-delivered-id']
    pending = redis.call('XPENDING', KEYS[1], ARGV[1])
  end
end
local unread = redis.call('XRANGE', KEYS[1], '(' .. read, '+', 'COUNT', 1)[1]
if not unread then return { 0, false, pending[1], pending[2] } end
if not lag then
  local size = 1
  for _, text in ipairs(unread[2]) do size = size + #text end
  local limit = math.max(1, math.min(1000, math.floor(1000000 / size)))
  local counted = #redis.call('XRANGE', KEYS[1], '(' .. read, '+', 'COUNT', limit + 1)
  if counted <= limit then lag = counted end
end
return { lag or false, unread[1], pending[1], pending[2] }
`;
