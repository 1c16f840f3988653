#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The conformance cases that a parser alone can decide.

    http_cases.py REPLAY SHARED_DIR

What each case sends goes through the parser (http_replay.c); what it makes of
it must fit one of the outcomes the case accepts. Without the cases the test is
skipped.
"""
import base64
import json
import pathlib
import struct
import subprocess
import sys
import urllib.parse

GROUPS = ["request-line", "uri", "methods", "headers", "expect", "keep-alive",
          "chunked", "body-length", "smuggling", "limits", "connection"]

# Decided behind the parser: by the environ, or by the application.
BEYOND = {"headers/scheme-clash", "headers/script-name",
          "headers/script-name-clash", "expect/refused-early"}

SKIP = 77


def sent(case):
    out = b""
    for step in case["steps"]:
        if "send" in step:
            text = step["send"].encode("latin-1")
            out += text * step.get("repeat", 1)
        elif "send_b64" in step:
            out += base64.b64decode(step["send_b64"])
        elif "send_pattern" in step:
            n = step["send_pattern"]
            out += (bytes(range(256)) * (n // 256 + 1))[:n]
    return out


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


def event_of(line):
    words = line.split(" ")
    if words[0] == "refused":
        return {"status": int(words[1])}
    method, path, query, host, body = map(unhex, words[2:])
    path = urllib.parse.unquote_to_bytes(path)
    return {"keep": words[1] == "1",
            "method": method.decode("latin-1"),
            "path": path.decode("latin-1"),
            "query": query.decode("latin-1"),
            "host": host.decode("latin-1"),
            "body": body.decode("latin-1"),
            "body_len": len(body)}


def understood(replay, inputs):
    """For each input the requests and refusals the parser sees in it."""
    data = b"".join(struct.pack("=I", len(i)) + i for i in inputs)
    done = subprocess.run([replay], input=data, capture_output=True,
                          timeout=60)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    seen = [[]]
    for line in done.stdout.decode().splitlines():
        if line == "end":
            seen.append([])
        elif line != "more":
            seen[-1].append(event_of(line))
    return seen[:-1]


def fits_value(wanted, value):
    if isinstance(wanted, dict):
        return value in wanted["in"] if "in" in wanted else True
    return wanted == value


def fits_status(wanted, status):
    return any(w == status or (w == "4xx" and 400 <= status < 500)
               or (w == "5xx" and status >= 500) for w in wanted)


def fits_response(wanted, event):
    if "status" in event:
        return (not wanted.get("app") and
                fits_status(wanted.get("status", ["4xx"]), event["status"]))
    if wanted.get("app") is False:
        # The server may answer 404, 405, 501 on a request it understood.
        return False
    echo = wanted.get("echo", {})
    if "host" in echo.get("headers", {}):
        if not fits_value(echo["headers"]["host"], event["host"]):
            return False
    return all(fits_value(echo[key], event[key])
               for key in ("method", "path", "query", "body", "body_len")
               if key in echo)


def fits(outcome, events):
    responses = outcome["responses"]
    if len(responses) != len(events):
        return False
    if not all(map(fits_response, responses, events)):
        return False
    if not events or "keep" not in events[-1]:
        return True
    end = outcome.get("end")
    return not (end == "keep!" and not events[-1]["keep"])


def judge(case, events):
    """Returns "ok", "tolerated" or "failed"."""
    if any(e.get("path", "").startswith("/smuggled-") for e in events):
        return "failed"
    best = [o for o in case["any_of"] if o.get("grade") != "ok"]
    rest = [o for o in case["any_of"] if o.get("grade") == "ok"]
    if any(fits(o, events) for o in best):
        return "ok"
    return "tolerated" if any(fits(o, events) for o in rest) else "failed"


def load(folder):
    cases = {}
    for group in GROUPS:
        text = (folder / f"{group}.json").read_text()
        for case in json.loads(text)["cases"]:
            name = f"{group}/{case['id']}"
            if name not in BEYOND:
                cases[name] = case
    return cases


def main():
    replay, shared = sys.argv[1:]
    folder = pathlib.Path(shared) / "conformance" / "cases"
    if not folder.is_dir():
        print(f"SKIPPED: no conformance cases in {folder}")
        return SKIP
    cases = load(folder)
    counts = {"ok": 0, "tolerated": 0, "failed": 0}
    seen = understood(replay, [sent(case) for case in cases.values()])
    for (name, case), events in zip(cases.items(), seen, strict=True):
        verdict = judge(case, events)
        counts[verdict] += 1
        if verdict != "ok":
            print(f"{name} {verdict}: understood as {str(events)[:300]};"
                  f" accepted: {case['accept'][:300]}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
