# SPDX-License-Identifier: MIT
"""What the class asgi does in Python: the event loop and the lifespan.

Compiled into the host (see embed.py). `engine` is the C side: begin(loop,
state) starts serving, end() stops it; both are called in the loop.
"""
import asyncio
import inspect
import sys

BOOT_ERROR = 3  # as in loader.py


def make_loop(kind):
    """(a new event loop, a warning or "")."""
    if kind != "asyncio":
        try:
            import uvloop
            return uvloop.new_event_loop(), ""
        except ImportError as error:
            if kind == "uvloop":
                return (asyncio.new_event_loop(),
                        "uvloop cannot be used (%s): using asyncio" % error)
    return asyncio.new_event_loop(), ""


def kind_of(application):
    """asgi, asgi2 or wsgi, by what it takes; "" when that cannot be told."""
    call = application
    if not inspect.isfunction(call) and not inspect.ismethod(call):
        if inspect.isclass(call):
            return "asgi2" if hasattr(call, "__call__") and \
                inspect.iscoroutinefunction(call.__call__) else ""
        call = getattr(type(application), "__call__", None)
    if inspect.iscoroutinefunction(call) or \
            inspect.iscoroutinefunction(application):
        return "asgi"
    return ""


class Lifespan:
    """The conversation about starting and stopping (ASGI lifespan 2.0)."""

    def __init__(self, loop, application, mode, log):
        self.application = application
        self.mode = mode
        self.log = log
        self.state = {}
        self.inbox = asyncio.Queue()
        self.started = loop.create_future()
        self.stopped = loop.create_future()
        self.unsupported = False
        self.task = None

    async def receive(self):
        return await self.inbox.get()

    async def send(self, message):
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self.settle(self.started, "")
        elif kind == "lifespan.startup.failed":
            self.settle(self.started, message.get("message", "")
                        or "no reason was given")
        elif kind == "lifespan.shutdown.complete":
            self.settle(self.stopped, "")
        elif kind == "lifespan.shutdown.failed":
            self.settle(self.stopped, message.get("message", "")
                        or "no reason was given")
        else:
            raise RuntimeError("ASGI message %r is not expected in a lifespan"
                               % kind)

    @staticmethod
    def settle(future, text):
        if not future.done():
            future.set_result(text)

    async def run(self):
        scope = {"type": "lifespan", "state": self.state,
                 "asgi": {"version": "3.0", "spec_version": "2.0"}}
        failure = None
        try:
            await self.application(scope, self.receive, self.send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = error
        if not self.started.done():
            # It may not know lifespans at all, which is fine with "auto".
            if failure is not None and self.mode == "on":
                self.log("error", "Exception in the lifespan of the "
                         "application", failure)
            elif failure is not None:
                self.log("debug", "The application has no lifespan: %r"
                         % failure, None)
            self.unsupported = True
            self.started.set_result(
                "the application has no lifespan" if self.mode == "on" else "")
        elif failure is not None:
            self.log("error", "Exception in the lifespan of the application",
                     failure)
        self.settle(self.stopped, "")

    async def startup(self):
        """Whether to serve."""
        self.inbox.put_nowait({"type": "lifespan.startup"})
        self.task = asyncio.ensure_future(self.run())
        text = await self.started
        if text:
            self.log("error", "Application startup failed: %s" % text, None)
            return False
        return True

    async def shutdown(self):
        if self.unsupported or self.task is None or self.task.done():
            return
        self.inbox.put_nowait({"type": "lifespan.shutdown"})
        text = await self.stopped
        if text:
            self.log("error", "Application shutdown failed: %s" % text, None)


async def serve(loop, application, engine, mode, grace):
    lifespan = Lifespan(loop, application, mode, engine.log)
    if mode != "off" and not await lifespan.startup():
        return BOOT_ERROR
    draining, idle = loop.create_future(), loop.create_future()
    engine.begin(loop, draining, idle,
                 None if mode == "off" or lifespan.unsupported
                 else lifespan.state)
    await draining
    if not idle.done():
        await asyncio.wait([idle], timeout=grace)
    engine.end()
    if not idle.done():
        await cancel_all(loop, lifespan.task)
    if mode != "off":
        await lifespan.shutdown()
    return 0


async def cancel_all(loop, *spared):
    tasks = [task for task in asyncio.all_tasks(loop)
             if task is not asyncio.current_task() and task not in spared]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1)


def run(loop, application, engine, mode, grace):
    """Returns the exit code."""
    asyncio.set_event_loop(loop)
    try:
        code = loop.run_until_complete(
            serve(loop, application, engine, mode, grace))
        loop.run_until_complete(cancel_all(loop))
        loop.run_until_complete(loop.shutdown_asyncgens())
        return code
    finally:
        asyncio.set_event_loop(None)
        loop.close()
