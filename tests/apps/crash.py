# SPDX-License-Identifier: MIT
"""Everything that takes an interpreter down or out of reach."""

import ctypes
import os
import signal
import threading
import urllib.parse

import probe


def kill_self(query):
    os.kill(os.getpid(), int(query.get("signal", signal.SIGKILL)))


def leave(query):
    os._exit(int(query.get("code", 1)))


def segfault(query):
    ctypes.string_at(0)


def spin_python(query):
    """The name is looked for in the log: stacks must be shown."""
    a_loop_that_never_ends()


def a_loop_that_never_ends():
    while True:
        pass


def stick_c(query):
    """One C call that keeps the GIL and that no signal ends."""
    a_c_call_that_never_ends()


def a_c_call_that_never_ends():
    mutex = ctypes.create_string_buffer(64)
    libc = ctypes.PyDLL(None)  # does not release the GIL
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def stall(query):
    """Waits with the GIL released."""
    a_wait_that_never_ends()


def a_wait_that_never_ends():
    threading.Event().wait()


def ignore_signals(query):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT,
                   signal.SIGABRT):
        signal.signal(number, signal.SIG_IGN)


def fork_child(query):
    """A child that outlives its request, as subprocess and os.fork make."""
    if os.fork() == 0:
        os._exit(0)
    os.wait()


ROUTES = {"/kill": kill_self, "/exit": leave, "/segv": segfault,
          "/spin-python": spin_python, "/stick-c": stick_c, "/stall": stall,
          "/ignore-signals": ignore_signals, "/fork": fork_child}


def app(environ, start_response):
    route = ROUTES.get(environ.get("PATH_INFO", ""))
    if route is None:
        return probe.app(environ, start_response)
    query = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", "")))
    probe.trace("crash %s %s %d" % (route.__name__, query.get("t", ""),
                                    os.getpid()))
    if query.get("after") == "head":
        start_response("200 OK", [("Content-Type", "text/plain"),
                                  ("Content-Length", "100000")])(b"x" * 1000)
    route(query)
    if not query.get("after"):
        start_response("200 OK", [("Content-Type", "text/plain"),
                                  ("Content-Length", "8")])
    return [b"survived"]
