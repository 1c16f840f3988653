-- SPDX-License-Identifier: MIT
-- What wrk saw, as one line of JSON. BODY_BYTES > 0 makes the requests POSTs.
local size = tonumber(os.getenv("BODY_BYTES") or "0")

if size > 0 then
    wrk.method = "POST"
    wrk.body = string.rep("0123456789", size / 10)
    wrk.headers["Content-Type"] = "application/octet-stream"
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"p50_us":%.1f,' ..
        '"p99_us":%.1f,"p999_us":%.1f,"max_us":%.1f,"errors":' ..
        '{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
        summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), latency:percentile(99.9), latency.max,
        e.connect, e.read, e.write, e.status, e.timeout))
end
