-- What wrk sends, as the variables BENCH_* say: the lines of the file BENCH_ITEMS, in turn.
-- login: bodies. profile: access tokens. refresh: refresh tokens, each used once: the next is what was answered.
-- search: an administrator's access token and what is searched for.
local mode, path = os.getenv("BENCH_MODE"), os.getenv("BENCH_PATH")
local head = {["Content-Type"] = os.getenv("BENCH_CONTENT_TYPE")}
local count, position, is_verified = 0, 0, false
items = {} -- global, so that done() can have what is left

function init()
  for line in io.lines(os.getenv("BENCH_ITEMS")) do
    if mode == "login" then
      -- Each account at an address of its own, as people are, and not all behind one.
      head["X-Forwarded-For"] = string.format("10.0.%d.%d", math.floor(count / 200), count % 200 + 1)
      line = wrk.format("POST", path, head, line)
    end
    if mode == "profile" then line = wrk.format("GET", path, {["Authorization"] = "Bearer " .. line}) end
    if mode == "search" then
      local token, prefix = string.match(line, "(%S+) (%S+)")
      line = wrk.format("GET", path .. prefix, {["Authorization"] = "Bearer " .. token})
    end
    count = count + 1
    items[count] = line
  end
end

function request()
  if not is_verified then -- wrk asks for one to see whether it is a request, and does not send it
    is_verified = true
    return wrk.format("GET", path)
  end
  position = position + 1
  if mode ~= "refresh" then
    return items[(position - 1) % count + 1]
  end
  local token = items[position] or "none is left"
  items[position] = nil
  return wrk.format("POST", path, head, '{"refresh":"' .. token .. '"}')
end

if mode == "refresh" then
  function response(status, headers, body)
    local token = status == 200 and string.match(body, '"refresh": *"([^"]+)"')
    if token then
      count = count + 1
      items[count] = token
    end
  end
end

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'BENCH {"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "refused": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
  if mode == "refresh" then
    local file = io.open(os.getenv("BENCH_ITEMS"), "w")
    for _, thread in ipairs(threads) do
      for _, token in pairs(thread:get("items")) do file:write(token, "\n") end
    end
    file:close()
  end
end
