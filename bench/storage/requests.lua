-- Sends the requests of a list, one after the other, over and over. wrk loads this file.
-- BENCH_PATHS: file with one path (and query) a line. BENCH_METHOD: GET or PUT. BENCH_BODY: file with the body of a PUT.
local paths = {}
for line in io.lines(os.getenv("BENCH_PATHS")) do
  paths[#paths + 1] = line
end
local method = os.getenv("BENCH_METHOD") or "GET"
local body = nil
if os.getenv("BENCH_BODY") then
  local file = io.open(os.getenv("BENCH_BODY"), "rb")
  body = file:read("*a")
  file:close()
end
local at = 0

function request()
  at = at % #paths + 1
  return wrk.format(method, paths[at], nil, body)
end

function done(summary, latency, requests)
  io.write(string.format("BENCH %d %d %d %d %d %d %d\n", summary.requests, summary.bytes, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
