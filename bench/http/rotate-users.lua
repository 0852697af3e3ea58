-- Posts a body with another user in each request, so that nothing can be remembered from the one before. The body is in
-- BENCH_BODY; its `user-123` is replaced by as many characters. Requests are made once: wrk must not be what is measured.
local COUNT = 10000
local requests = {}
local next_one = 0

function init(args)
  local body = os.getenv("BENCH_BODY")
  wrk.headers["Content-Type"] = "application/json"
  for i = 1, COUNT do
    local user = string.format("u%07d", i)
    requests[i] = wrk.format("POST", nil, nil, (body:gsub("user%-123", user)))
  end
end

function request()
  next_one = next_one % COUNT + 1
  return requests[next_one]
end
