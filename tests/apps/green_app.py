# SPDX-License-Identifier: MIT
"""What greenlets are for, on top of probe.py: the same routes, and those that
ask which package runs them."""

import os
import sys
import threading
import time

import probe


class Package:
    """gevent or eventlet, whichever has patched the library."""

    def __init__(self):
        if "eventlet" in sys.modules:
            import eventlet
            import eventlet.patcher
            self.name, self.spawn = "eventlet", eventlet.spawn
            self.result = lambda greenlet: greenlet.wait()
            self.patched = eventlet.patcher.is_monkey_patched("time")
            self.timeout = eventlet.Timeout
            self.original = eventlet.patcher.original("time").sleep
        else:
            import gevent
            import gevent.monkey
            self.name, self.spawn = "gevent", gevent.spawn
            self.result = lambda greenlet: greenlet.get()
            self.patched = gevent.monkey.is_module_patched("time")
            self.timeout = gevent.Timeout
            self.original = gevent.monkey.get_original("time", "sleep")


PACKAGE = Package()
PATCHED_AT_IMPORT = PACKAGE.patched
IMPORTED_IN = os.getpid()
LOCAL = threading.local()
running = most = 0


def who(environ, start, query):
    return probe.as_json(start, {
        "package": PACKAGE.name, "patched": PATCHED_AT_IMPORT,
        "imported_here": IMPORTED_IN == os.getpid(), "pid": os.getpid()})


def local(environ, start, query):
    """What one request leaves behind, no other one finds."""
    found = getattr(LOCAL, "value", None)
    LOCAL.value = query["t"]
    time.sleep(0.05)
    return probe.as_json(start, [found, LOCAL.value])


def count(environ, start, query):
    """How many run at once, at most."""
    global running, most
    running += 1
    most = max(most, running)
    time.sleep(float(query["s"]))
    running -= 1
    return probe.as_json(start, most)


def block(environ, start, query):
    """Nobody else runs meanwhile."""
    probe.trace("block %d" % os.getpid())
    PACKAGE.original(float(query["s"]))
    return probe.as_json(start, os.getpid())


def spin(environ, start, query):
    probe.trace("spin %d" % os.getpid())
    while True:
        pass


def background_block(environ, start, query):
    def work():
        probe.trace("background")
        PACKAGE.original(float(query["s"]))
    PACKAGE.spawn(work)
    return probe.as_json(start, os.getpid())


def both_ways(environ, start, query):
    """Sends each piece of the body back before it reads the next."""
    start("200 OK", list(probe.TEXT))
    stream = environ["wsgi.input"]
    while True:
        piece = stream.read(int(query["n"]))
        if not piece:
            return
        yield piece


def elsewhere(environ, start, query):
    """Another greenlet reads the body."""
    reader = PACKAGE.spawn(environ["wsgi.input"].read)
    return probe.as_json(start, len(PACKAGE.result(reader)))


def left_behind(environ, start, query):
    """Another greenlet reads the body, and the request does not wait."""
    def read():
        probe.trace("left behind %d" % len(environ["wsgi.input"].read()))
    PACKAGE.spawn(read)
    time.sleep(0)
    return probe.hello(environ, start, query)


def impatient(environ, start, query):
    """Gives up reading."""
    try:
        with PACKAGE.timeout(0.1):
            environ["wsgi.input"].read()
    except PACKAGE.timeout:
        return probe.as_json(start, "gave up")
    return probe.as_json(start, "all there")


def unwind(environ, start, query):
    """Tells when it is killed."""
    probe.trace("unwind %d" % os.getpid())
    try:
        time.sleep(60)
    finally:
        probe.trace("unwound")
    return probe.hello(environ, start, query)


def socket_of(environ, start, query):
    return probe.as_json(start, {
        "websocket": "wsgi.websocket" in environ,
        "socket": "gunicorn.socket" in environ,
        "rfile": hasattr(environ["wsgi.input"], "rfile")})


probe.ROUTES.update({
    "/who": who, "/local": local, "/most": count, "/block": block, "/spin": spin,
    "/background-block": background_block,
    "/both-ways": both_ways, "/elsewhere": elsewhere,
    "/left-behind": left_behind, "/impatient": impatient,
    "/unwind": unwind, "/socket": socket_of,
})
app = probe.app
