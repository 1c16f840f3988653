# SPDX-License-Identifier: MIT
"""WebSockets: an echo, and paths that end otherwise."""

import asyncio
import os
import time


def trace(text):
    with open(os.environ["PROBE_TRACE"], "a") as file:
        file.write(text + "\n")


async def echo(scope, receive, send):
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            trace("%s disconnect %d %s" % (scope["path"], message["code"],
                                           message["reason"]))
            return
        if scope["path"] == "/sleep":
            time.sleep(2)
        if scope["path"] == "/slow":
            trace("slow")
            await asyncio.sleep(0.5)
        await send({"type": "websocket.send", "text": message.get("text"),
                    "bytes": message.get("bytes")})


async def deny(scope, receive, send):
    if scope["path"] == "/deny":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.http.response.start", "status": 401,
                "headers": [(b"x-why", b"because")]})
    await send({"type": "websocket.http.response.body", "body": b"no"})


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200,
                    "headers": []})
        await send({"type": "http.response.body", "body": b"here"})
        return
    if scope["type"] != "websocket":
        raise ValueError("no lifespan")
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] in ("/deny", "/denial"):
        await deny(scope, receive, send)
        return
    protocols = scope["subprotocols"]
    await send({"type": "websocket.accept", "headers": [
        (b"x-accepted", b"yes"), (b"x-pid", b"%d" % os.getpid())],
                "subprotocol": protocols[0] if protocols else None})
    if scope["path"] == "/close":
        await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
    elif scope["path"] == "/fail":
        raise ValueError("in the middle of a WebSocket")
    elif scope["path"] != "/return":
        await echo(scope, receive, send)
