# SPDX-License-Identifier: MIT
"""What the class asgi does in Python: the event loop and the lifespan.

Compiled into the host (see embed.py). `engine` is the C side: begin(loop,
state) starts serving, end() stops it; both are called in the loop.
"""
import asyncio

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
        self.failed = False  # it said so itself
        self.task = None

    async def receive(self):
        return await self.inbox.get()

    async def send(self, message):
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self.settle(self.started, "")
        elif kind == "lifespan.startup.failed":
            self.failed = True
            self.settle(self.started, message.get("message", "")
                        or "no reason was given")
        elif kind == "lifespan.shutdown.complete":
            self.settle(self.stopped, "")
        elif kind == "lifespan.shutdown.failed":
            self.failed = True
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
        elif failure is not None and not self.failed:
            self.log("error", "Exception in the lifespan of the application",
                     failure)
        self.settle(self.stopped, "")

    async def startup(self):
        """Whether to serve."""
        self.inbox.put_nowait({"type": "lifespan.startup"})
        self.task = asyncio.ensure_future(self.run())
        return self.is_well("startup", await self.started)

    async def shutdown(self):
        if self.unsupported or self.task is None or self.task.done():
            return
        self.inbox.put_nowait({"type": "lifespan.shutdown"})
        self.is_well("shutdown", await self.stopped)

    def is_well(self, what, text):
        """A reason is often a traceback."""
        first, *more = text.splitlines() or [""]
        if first:
            self.log("error", "Application %s failed: %s" % (what, first),
                     None)
        for line in more:
            self.log("error", line, None)
        return not first


async def ask(application, path, state):
    """What a client's GET would get: its status, or None."""
    import urllib.parse  # only here: few want to pay for it
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": urllib.parse.unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "extensions": {},
        "headers": [(b"host", b"localhost"),
                    (b"user-agent", b"gcorn-warm-up")],
        "client": ("127.0.0.1", 0), "server": ("localhost", 80)}
    if state is not None:
        scope["state"] = dict(state)
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    statuses = []

    async def receive():
        if messages:
            return messages.pop()
        return await asyncio.get_running_loop().create_future()

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await application(scope, receive, send)
    return statuses[0] if statuses else None


async def warm_up(application, path, state, log):
    """Whether to serve."""
    try:
        status = await ask(application, path, state)
    except BaseException as error:
        log("error", "Warm-up: GET %s failed" % path, error)
        return False
    if status is None or status >= 500:
        log("error", "Warm-up: GET %s was answered %s" % (
            path, status or "without a response"), None)
        return False
    return True


async def serve(loop, application, engine, mode, grace, warm_up_path):
    lifespan = Lifespan(loop, application, mode, engine.log)
    if mode != "off" and not await lifespan.startup():
        return BOOT_ERROR
    state = None if mode == "off" or lifespan.unsupported else lifespan.state
    if warm_up_path and not await warm_up(application, warm_up_path, state,
                                          engine.log):
        return BOOT_ERROR
    draining, idle = loop.create_future(), loop.create_future()
    engine.begin(loop, draining, idle, state)
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


def run_through(loop, task):
    """--timeout-soft may come when what held up the loop is over just then,
    and then it is nobody's."""
    while True:
        try:
            return loop.run_until_complete(task)
        except TimeoutError:
            if task.done():
                raise


def run(loop, application, engine, *how):
    """Returns the exit code."""
    asyncio.set_event_loop(loop)
    try:
        code = run_through(loop, loop.create_task(
            serve(loop, application, engine, *how)))
        loop.run_until_complete(cancel_all(loop))
        loop.run_until_complete(loop.shutdown_asyncgens())
        return code
    finally:
        asyncio.set_event_loop(None)
        loop.close()
