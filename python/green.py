# SPDX-License-Identifier: MIT
"""What the classes gevent and eventlet do in Python: everything that asks for
their packages. Compiled into the host (see embed.py).

A Hub here is gcorn's view of gevent's or eventlet's. `engine` is the C side:
see green.h.
"""


class Gevent:
    PACKAGE, LEAST = "gevent", (22, 10)

    def __init__(self):
        import gevent
        import gevent.event
        import gevent.hub
        import gevent.monkey
        self.package = gevent
        self.killed = gevent.GreenletExit
        self.event = gevent.event.Event
        self.sleep = gevent.sleep
        self.spawn = gevent.spawn
        self.timer = self.watcher = None

    def patch(self):
        self.package.monkey.patch_all()

    def forked(self):
        """The hub, if there is one, is a copy of the template's."""
        self.package.reinit()

    def begin(self):
        self.hub = self.package.get_hub()
        self.soon = self.hub.loop.run_callback

    def watch(self, fd, call):
        self.watcher = self.hub.loop.io(fd, 1)
        self.watcher.start(call)

    def unwatch(self):
        self.watcher.stop()

    def later(self, seconds, call):
        self.timer = self.hub.loop.timer(seconds)
        self.timer.start(call)

    def waiter(self):
        return self.package.hub.Waiter(self.hub)

    def wait(self, waiter):
        waiter.get()

    def wake(self, waiter):
        self.soon(waiter.switch, None)

    def kill(self, greenlets):
        self.package.killall(greenlets, block=False)


class Eventlet:
    PACKAGE, LEAST = "eventlet", (0, 33)

    def __init__(self):
        import eventlet
        import eventlet.event
        import eventlet.hubs
        import greenlet
        self.package = eventlet
        self.killed = greenlet.GreenletExit
        self.sleep = eventlet.sleep
        self.spawn = eventlet.spawn
        self.waiter = self.package.event.Event
        self.listener = None

    def event(self):
        return EventletEvent(self.package.event.Event())

    def patch(self):
        self.package.monkey_patch()

    def forked(self):
        """A new hub is made when it is asked for."""
        self.package.hubs.use_hub()

    def begin(self):
        self.hub = self.package.hubs.get_hub()

    def watch(self, fd, call):
        self.listener = self.hub.add(
            self.hub.READ, fd, lambda _: call(), nothing, nothing)

    def unwatch(self):
        self.hub.remove(self.listener)

    def soon(self, call):
        self.hub.schedule_call_global(0, call)

    def later(self, seconds, call):
        self.hub.schedule_call_global(seconds, call)

    def wait(self, waiter):
        waiter.wait()

    def wake(self, waiter):
        waiter.send()

    def kill(self, greenlets):
        for greenlet in greenlets:
            greenlet.kill()


class EventletEvent:
    """gevent's kind of event."""

    def __init__(self, event):
        self.event = event

    def set(self):
        self.event.send()

    def wait(self, timeout=None):
        self.event.wait(timeout)


def nothing(*args):
    pass


KINDS = {"gevent": Gevent, "eventlet": Eventlet}


def make(name):
    """(the hub, ""), or (None, what is wrong)."""
    kind = KINDS[name]
    least = ".".join(map(str, kind.LEAST))
    try:
        hub = kind()
    except ImportError as error:
        return None, "class uri '%s' invalid or not found: %s" % (
            name, missing(kind.PACKAGE, least, error))
    version = hub.package.__version__
    if numbers(version) < kind.LEAST:
        return None, "the class %s requires %s %s or newer, not %s" % (
            name, kind.PACKAGE, least, version)
    return hub, ""


def numbers(version):
    """Major and minor; what is no number is taken for a new one."""
    parts = version.split(".")[:2]
    return tuple(int(part) if part.isdigit() else 999 for part in parts)


def missing(package, least, error):
    import sys
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return ("it requires %s %s or newer, which is not installed for %s: "
                "pip install %s" % (package, least, sys.executable, package))
    return "%s cannot be imported by %s: %s" % (package, sys.executable, error)


def serve(hub, engine, grace):
    """In the main greenlet, until the interpreter is to end and its requests
    have ended, or had their time and are killed."""
    draining, idle = hub.event(), hub.event()
    engine.begin(draining.set, idle.set)
    hub.watch(engine.fd, engine.turn)
    hub.soon(engine.turn)
    draining.wait()
    idle.wait(grace)
    left = engine.left()
    if left:
        hub.kill(left)
        idle.wait(1)
    hub.unwatch()
    engine.end()
