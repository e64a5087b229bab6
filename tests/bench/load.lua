-- What wrk sends: one invoice, each time under another external_id. Arguments: the body's file, a name, and how many
-- milliseconds a connection rests after an answer, on average.
local head, tail, pause, number = nil, nil, 0, 0
local MARK = "EXTERNAL-ID-OF-24-LETTER"

function init(arguments)
    local file = assert(io.open(arguments[1]))
    local body = file:read("*a")
    file:close()
    local name = arguments[2]
    pause = tonumber(arguments[3])
    local headers = { ["Content-Type"] = "application/json", ["Authorization"] = arguments[4] }
    local whole = wrk.format("POST", nil, headers, body)
    local first, last = assert(whole:find(MARK, 1, true))
    head, tail = whole:sub(1, first - 1) .. name, whole:sub(last + 1)
    if pause == 0 then
        delay = nil
    end
end

function request()
    number = number + 1
    return head .. string.format("%012d", number) .. tail
end

function delay()
    return math.random(0, 2 * pause)
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\nTOLD {"requests": %d, "seconds": %f, "refused": %d, "broken": %d, '
            .. '"p50": %f, "p99": %f, "p999": %f, "worst": %f}\n',
        summary.requests, summary.duration / 1e6, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3
    ))
end
