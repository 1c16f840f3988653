# SPDX-License-Identifier: MIT
"""The conformance kit, where it is there: $GCORN_CONFORMANCE, or beside the
source tree in ../shared/conformance."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from server import ROOT, is_gcorn

KIT = pathlib.Path(os.environ.get("GCORN_CONFORMANCE")
                   or ROOT.parent / "shared" / "conformance")


# One call at a time: cases that make the application sleep would wait for
# each other.
KINDS = {
    "gthread": (["--threads", "8"], ["--strict"]),
    "sync": (["-k", "sync"], ["--jobs", "1", "--strict"]),
}
if is_gcorn():
    KINDS["gevent"] = (["-k", "gevent"], ["--strict"])
    KINDS["eventlet"] = (["-k", "eventlet"], ["--strict"])
    for loop in "asyncio", "uvloop":
        KINDS[loop] = (["-k", "asgi", "--asgi-loop", loop], ["--strict"])

# Tolerated by the kit only, but what the standard says.
RIGHT = {
    # RFC 9110 7.8: Upgrade in an HTTP/1.0 request MUST be ignored.
    "websocket/handshake-http10",
}


@pytest.fixture(scope="module", params=[
    (io, kind) for io in (("uring", "epoll") if is_gcorn() else (None,))
    for kind in KINDS], ids=lambda param: "%s-%s" % param)
def results(request, tmp_path_factory):
    from server import Server
    if not (KIT / "run.py").exists():
        pytest.skip("NOT RUN: no conformance kit at %s" % KIT)
    io, kind = request.param
    directory = tmp_path_factory.mktemp("conformance")
    report = directory / "report.json"
    arguments, options = KINDS[kind]
    app = "echo_asgi:app" if "asgi" in arguments else "echo_app:app"
    if is_gcorn():
        arguments = [*arguments, "--io", io, "--proxy-protocol", "auto"]
    else:
        options = [option for option in options if option != "--strict"]
    with Server(app, "-w", "1", *arguments,
                directory=directory, chdir=KIT) as server:
        done = subprocess.run(
            [sys.executable, KIT / "run.py", "--host", "127.0.0.1", "--port",
             str(server.address[1]), "--json", report, "--budget", "150",
             *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=170)
    print(done.stdout[-20000:])
    return json.loads(report.read_text())


GROUPS = sorted(path.stem for path in (KIT / "cases").glob("*.json")) or [
    "no-kit"]


@pytest.mark.parametrize("group", GROUPS)
def test_group(results, group):
    assert results["alive"]
    cases = [case for case in results["results"] if case["group"] == group]
    failed = {"%s/%s" % (group, case["id"]): "%s -- got %s" % (
        case["message"], case["got"])
        for case in cases if case["state"] == "fail"
        and not ("%s/%s" % (group, case["id"]) in RIGHT
                 and "merely tolerated" in case["message"])}
    assert not failed, "%d of %d failed:\n%s" % (
        len(failed), len(cases),
        "\n".join("%s: %s" % pair for pair in sorted(failed.items())))
    if all(case["state"] == "skip" for case in cases):
        pytest.skip("the server has none of what %s is about" % group)
