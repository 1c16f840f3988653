# SPDX-License-Identifier: MIT
"""An ASGI application without a framework: one path for each thing that
tests of the class asgi ask for. PROBE_TRACE names the file it tells what it
saw."""

import asyncio
import hashlib
import json
import os
import sys
import time


def trace(text):
    with open(os.environ["PROBE_TRACE"], "a") as file:
        file.write(text + "\n")


async def start(send, status=200, headers=(), **more):
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain"), *headers],
                **more})


async def body(send, data=b"", more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def text(send, data, **kind):
    await start(send, **kind)
    await body(send, data)


async def root(scope, receive, send):
    trace("asked by %s" % dict(scope["headers"]).get(
        b"user-agent", b"somebody").decode())
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    await text(send, json.dumps({
        "pid": os.getpid(), "path": scope["path"], "loop": loop,
        "raw_path": scope["raw_path"].decode(), "method": scope["method"],
        "root_path": scope["root_path"], "scheme": scope["scheme"],
        "query": scope["query_string"].decode(), "client": scope["client"],
        "state": scope.get("state"), "server": scope["server"],
        "headers": [(k.decode(), v.decode("latin-1"))
                    for k, v in scope["headers"]],
        "python": sys.version.split()[0],
    }).encode())


async def read_all(receive):
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def echo(scope, receive, send):
    await text(send, await read_all(receive))


async def both_ways(scope, receive, send):
    """Answers each piece before the next one comes."""
    await start(send)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if message["body"]:
            await body(send, message["body"], more=True)
        if not message["more_body"]:
            break
    await body(send)


async def pieces(scope, receive, send):
    count, size = map(int, scope["query_string"].split(b","))
    await start(send)
    for _ in range(count):
        await body(send, b"x" * size, more=True)
    await body(send)


async def slow_reader(scope, receive, send):
    """Lets the body wait until the file `go` is there."""
    seen = len((await receive())["body"])
    trace("first")
    while not os.path.exists(scope["query_string"].decode()):
        await asyncio.sleep(0.01)
    seen += len(await read_all(receive))
    await text(send, b"%d" % seen)


async def slow_sha256(scope, receive, send):
    """The same, and says what it was."""
    while not os.path.exists(scope["query_string"].decode()):
        await asyncio.sleep(0.01)
    await text(send, hashlib.sha256(await read_all(receive)).hexdigest()
               .encode())


async def endless(scope, receive, send):
    await start(send)
    count = 0
    try:
        while True:
            await body(send, b"x" * 65536, more=True)
            count += 1
    except OSError as error:
        trace("endless: %s after %s" % (type(error).__name__,
                                        "few" if count < 1000 else "many"))
        raise


async def until_gone(scope, receive, send):
    await read_all(receive)
    await start(send)
    await body(send, b"event\n", more=True)
    message = await receive()
    trace("until_gone: %s" % message["type"])


async def background(scope, receive, send):
    await text(send, b"answered")
    while not os.path.exists(scope["query_string"].decode()):
        await asyncio.sleep(0.01)
    trace("background done")


async def fail_before(scope, receive, send):
    raise ValueError("before the response")


async def fail_after(scope, receive, send):
    await start(send)
    await body(send, b"some", more=True)
    raise ValueError("after the start")


async def silent(scope, receive, send):
    pass


async def hold(scope, receive, send):
    trace("held")
    while not os.path.exists(scope["query_string"].decode()):
        await asyncio.sleep(0.01)
    await text(send, b"%d" % os.getpid())


async def path(scope, receive, send):
    await start(send)
    await send({"type": "http.response.pathsend",
                "path": scope["query_string"].decode()})


async def trailers(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"data")
    await send({"type": "http.response.trailers",
                "headers": [(b"x-checksum", b"42")]})


async def hints(scope, receive, send):
    await send({"type": "http.response.early_hint",
                "links": [b"</a.css>; rel=preload"]})
    await text(send, b"hinted")


async def informs(scope, receive, send):
    await send({"type": "http.response.informational", "status": 102,
                "headers": [(b"x-step", b"1")]})
    await text(send, b"informed")


async def stays(scope, receive, send):
    """Does not look whether its client has left."""
    trace("stays")
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        trace("cancelled")
        raise


def spin():
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass


async def busy(scope, receive, send):
    """Holds up the event loop, in Python. In a function: on Python 3.13 what is
    raised at the end of a loop's body is outside of the try around it."""
    try:
        spin()
    except TimeoutError as error:
        await text(send, type(error).__name__.encode())


async def broken(scope, receive, send):
    await text(send, b"broken", status=503)


async def blocking(scope, receive, send):
    trace("blocking")
    time.sleep(float(scope["query_string"]))
    await text(send, b"woke")


async def threaded(scope, receive, send):
    loop = asyncio.get_running_loop()
    await text(send, await loop.run_in_executor(None, lambda: b"from a thread"))


async def at_once(scope, receive, send):
    """Two tasks that send, one that receives."""
    await start(send)
    gone = asyncio.ensure_future(receive())
    await asyncio.gather(*(body(send, b"y" * 100000, more=True)
                           for _ in range(20)))
    gone.cancel()
    await body(send)


async def receive_timeout(scope, receive, send):
    await read_all(receive)
    try:
        await asyncio.wait_for(receive(), 0.01)
    except asyncio.TimeoutError:
        await text(send, b"timed out")


PATHS = {"/" + name: value for name, value in list(globals().items())
         if asyncio.iscoroutinefunction(value)}


async def lifespan(scope, receive, send):
    await receive()
    if os.environ.get("LIFESPAN") == "fail":
        await send({"type": "lifespan.startup.failed", "message": "no luck"})
        return
    if os.environ.get("LIFESPAN") == "traceback":  # as Starlette does
        await send({"type": "lifespan.startup.failed",
                    "message": "Traceback:\n  line 1\nno luck at all\n"})
        raise ValueError("no luck at all")
    scope["state"]["from"] = "lifespan"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    trace("lifespan over")
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        if os.environ.get("LIFESPAN") == "none":
            raise ValueError("lifespan is not known here")
        await lifespan(scope, receive, send)
    else:
        await PATHS.get(scope["path"], root)(scope, receive, send)


def of_two(environ, start_response):
    raise AssertionError("a WSGI application in an event loop")


class OfOne:
    """As ASGI 2 had it."""

    def __init__(self, scope):
        raise AssertionError("ASGI 2 is not known here")
