/**
 * The Lua of partitions. Whatever is read or written for a key is so only while its lease holds the token of the one that
 * asks, `<owner>:<generation>`, which is the name of its consumer, too. See redis-scripts.ts for what all scripts share.
 */

/**
 * Takes keys that nobody owns, with all that is pending for their former owners, whose consumers go. ARGV[1] group, ARGV[2]
 * owner, ARGV[3] time to live, ARGV[4] streams of a key, ARGV[5] how many at most. KEYS for each key its lease, its generation, its streams. JUSTID
 * keeps the count of deliveries: that of a dead owner's entry is 1 or more; that of our own is set back. Returns [which key from 0, generation, pending].
 */
export const acquire = `
local group, owner, ttl, width = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local function inherit(stream, token)
  local consumers, inherited = redis.pcall('XINFO', 'CONSUMERS', stream, group), 0
  if consumers.err then return 0 end
  for _, fields in ipairs(consumers) do
    local of = {}
    for index = 1, #fields, 2 do of[fields[index]] = fields[index + 1] end
    inherited = inherited + of.pending
    if of.name ~= token then
      for _ = 0, of.pending, 500 do
        local claim = { 'XCLAIM', stream, group, token, 0 }
        for _, entry in ipairs(redis.call('XPENDING', stream, group, '-', '+', 500, of.name)) do claim[#claim + 1] = entry[1] end
        if #claim == 5 then break end
        claim[#claim + 1] = 'JUSTID'
        if string.sub(of.name, 1, #owner + 1) == owner .. ':' then
          claim[#claim + 1] = 'RETRYCOUNT'
          claim[#claim + 1] = 0
        end
        redis.call(unpack(claim))
      end
      redis.call('XGROUP', 'DELCONSUMER', stream, group, of.name)
    end
  end
  return inherited
end
local taken = {}
for first = 1, #KEYS, width + 2 do
  if #taken >= tonumber(ARGV[5]) then break end
  local held, generation = redis.call('GET', KEYS[first]), nil
  if not held then
    generation = redis.call('INCR', KEYS[first + 1])
    redis.call('PERSIST', KEYS[first + 1])
    redis.call('SET', KEYS[first], owner .. ':' .. generation, 'PX', ttl)
  elseif string.sub(held, 1, #owner + 1) == owner .. ':' then
    generation = tonumber(string.sub(held, #owner + 2))
    redis.call('PEXPIRE', KEYS[first], ttl)
  end
  if generation then
    local pending = 0
    for stream = first + 2, first + 1 + width do pending = pending + inherit(KEYS[stream], owner .. ':' .. generation) end
    taken[#taken + 1] = { (first - 1) / (width + 2), generation, pending }
  end
end
return taken
`;

/** Extends leases. KEYS leases. ARGV[1] time to live, ARGV[2…] tokens. Returns which are not ours, from 0. */
export const renew = `
local lost = {}
for index, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[index + 1] then redis.call('PEXPIRE', lease, ARGV[1])
  else lost[#lost + 1] = index - 1 end
end
return lost
`;

/**
 * Gives keys back, what is pending of them as if never delivered, and says so to those who listen. ARGV[1] group, ARGV[2]
 * streams of a key, ARGV[3] number of categories, ARGV[4…] token and key of each. KEYS the indexes, what is listened to,
 * then for each key its lease, its generation, its streams. The generation of a key that is in no index goes, too.
 */
export const release = `
local group, width, categories, at = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4
for first = 2 * categories + 1, #KEYS, width + 2 do
  local token, key, indexed = ARGV[at], ARGV[at + 1], false
  at = at + 2
  if redis.call('GET', KEYS[first]) == token then
    for stream = first + 2, first + 1 + width do
      local pending = redis.pcall('XPENDING', KEYS[stream], group, '-', '+', 1000, token)
      if not pending.err then
        for _, entry in ipairs(pending) do
          redis.call('XCLAIM', KEYS[stream], group, token, 0, entry[1], 'RETRYCOUNT', 0, 'JUSTID')
        end
        if #pending == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[stream], group, token) end
      end
    end
    redis.call('DEL', KEYS[first])
    for category = 1, categories do
      if redis.call('SISMEMBER', KEYS[category], key) == 1 then
        indexed = true
        redis.pcall('XADD', KEYS[categories + category], 'MAXLEN', '~', 10000, '*', 'freed', key)
      end
    end
    if not indexed then redis.call('DEL', KEYS[first + 1]) end
  end
end
return 1
`;

/**
 * Reads keys: what is new, of the first stream that has anything, or what is pending for the asking owner. ARGV[1] group,
 * ARGV[2] streams of a key, then for each key its token, how many, `new` or `own`, and for each stream from which id, empty
 * for a stream that is passed over. KEYS for each key its lease, then each stream and its bookkeeping. Where the group is
 * missing on a stream that is there, it is made at the beginning. Returns for each key 0 where it is not ours, or
 * [entries, streams with more, lost ids, streams on which the group was made, error]; an entry is [stream from 0, id,
 * fields, deliveries, history, crashes].
 */
export const read = `
local group, width, at, replies = ARGV[1], tonumber(ARGV[2]), 3, {}
local function without_group(reply) return reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) end
for first = 1, #KEYS, 2 * width + 1 do
  local token, count, mode = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local found, more, lost, made, failure = {}, {}, {}, {}, false
  for stream = 0, width - 1 do
    local name, book, from = KEYS[first + 1 + 2 * stream], KEYS[first + 2 + 2 * stream], ARGV[at + 3 + stream]
    if stream == 0 and redis.call('GET', KEYS[first]) ~= token then
      found = false
      break
    end
    if mode == 'new' then
      local got = redis.pcall('XREADGROUP', 'GROUP', group, token, 'COUNT', count, 'STREAMS', name, '>')
      if without_group(got) and redis.call('EXISTS', name) == 1 then
        redis.call('XGROUP', 'CREATE', name, group, '0')
        made[#made + 1] = stream
        got = redis.pcall('XREADGROUP', 'GROUP', group, token, 'COUNT', count, 'STREAMS', name, '>')
      end
      if got and got.err then
        if not without_group(got) then failure = got.err end
      elseif got then
        for _, entry in ipairs(got[1][2]) do found[#found + 1] = { stream, entry[1], entry[2], 0 } end
        more[1] = #got[1][2] >= tonumber(count) and stream or nil
        break
      end
    elseif from ~= '' then
      local pending = redis.pcall('XPENDING', name, group, from, '+', count, token)
      if pending.err then
        if not without_group(pending) then failure = pending.err end
        pending = {}
      end
      for _, each in ipairs(pending) do
        local id = each[1]
        local entry = redis.call('XCLAIM', name, group, token, 0, id)[1]
        if entry then
          local known = redis.call('HMGET', book, id, 'crash:' .. id)
          found[#found + 1] = { stream, id, entry[2], each[4], known[1], known[2] }
        else
          redis.call('XACK', name, group, id)
          redis.call('HDEL', book, id, 'crash:' .. id)
          lost[#lost + 1] = id
        end
      end
      if #pending >= tonumber(count) then more[#more + 1] = stream end
    end
  end
  replies[#replies + 1] = found and { found, more, lost, made, failure } or 0
  at = at + 3 + width
end
return replies
`;

/**
 * `body` for each delivery of which the key is ours, in turn. KEYS for each its lease, stream, bookkeeping, the hash of keys
 * that stand still, and dead letters. ARGV[1] group, then for each its token, id, key, kind, and two more. Returns for each
 * what `body` leaves in `result`, or -1 where the key is not ours.
 */
const forEach = (body: string): string => `
local group, results = ARGV[1], {}
for index = 0, #KEYS / 5 - 1 do
  local stream, book, blocked, letters = KEYS[5 * index + 2], KEYS[5 * index + 3], KEYS[5 * index + 4], KEYS[5 * index + 5]
  local token, id, key, kind = ARGV[6 * index + 2], ARGV[6 * index + 3], ARGV[6 * index + 4], ARGV[6 * index + 5]
  local one, other, result = ARGV[6 * index + 6], ARGV[6 * index + 7], -1
  if redis.call('GET', KEYS[5 * index + 1]) == token then
    local pending = redis.pcall('XPENDING', stream, group, id, id, 1)
    local ours = not pending.err and pending[1] and pending[1][2] == token
    ${body}
  end
  results[index + 1] = result
end
return results
`;

const finish = `
local function finish(stream, group, book, blocked, id, key)
  redis.call('XACK', stream, group, id)
  redis.call('HDEL', book, id, 'crash:' .. id)
  local known = redis.call('HGET', blocked, key)
  if known and string.find(known, '"entry_id":"' .. id .. '"', 1, true) then redis.call('HDEL', blocked, key) end
end
`;

/**
 * Settlements, each of which may come twice. `ack`; `retry` with its history; `dead_letter` with its body, whose XADD comes
 * before everything else; `halt` with what is to be known of it; `give_back` with the crashes it is to have. Returns for each
 * 1 made so, 0 settled before, -1 not ours, or the error for the sake of which it could not be.
 */
export const settle = `${finish}${forEach(`
    result = ours and 1 or 0
    if not ours then
    elseif kind == 'ack' then finish(stream, group, book, blocked, id, key)
    elseif kind == 'dead_letter' then
      local added = redis.pcall('XADD', letters, '*', 'data', one)
      if type(added) == 'table' then result = added.err else finish(stream, group, book, blocked, id, key) end
    elseif kind == 'give_back' then
      redis.call('XCLAIM', stream, group, token, 0, id, 'RETRYCOUNT', 0, 'JUSTID')
      if one == '0' then redis.call('HDEL', book, 'crash:' .. id)
      else redis.pcall('HSET', book, 'crash:' .. id, one) end
    else
      local kept
      if kind == 'retry' then kept = redis.pcall('HSET', book, id, one) else kept = redis.pcall('HSET', blocked, key, one) end
      if type(kept) == 'table' then result = kept.err end
      redis.call('HDEL', book, 'crash:' .. id)
    end`)}`;

/** Counts a start that has no outcome yet. Returns 1, 0 where the entry is no longer pending, or -1. */
export const recordStart = forEach(`
    result = ours and redis.call('HINCRBY', book, 'crash:' .. id, 1) and 1 or 0`);

/** Returns [fields, history, crashes] of those that are still pending, 0 of the others, or -1. */
export const retake = forEach(`
    result = 0
    if ours then
      local entry, known = redis.call('XRANGE', stream, id, id)[1], redis.call('HMGET', book, id, 'crash:' .. id)
      result = entry and { entry[2], known[1], known[2] } or 0
    end`);

/** Returns 1 of those that are pending and ours, 0 or -1 of the others. */
export const stillOurs = forEach('result = ours and 1 or 0');

/** Says that an owner lives. KEYS[1] the owners. ARGV[1] owner, ARGV[2] how long that is believed. Returns how many live. */
export const join = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
return redis.call('ZCARD', KEYS[1])
`;
