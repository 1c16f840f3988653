# SPDX-License-Identifier: MIT
"""Applications that are made, nested or classes."""


def _app_saying(text):
    def app(environ, start_response):
        body = text.encode()
        start_response("200 OK", [("Content-Type", "text/plain"),
                                  ("Content-Length", str(len(body)))])
        return [body]
    return app


def create_app(name="default", *more, times=1, options=None):
    return _app_saying("%s|%r|%d|%r" % (name, more, times, options))


class Holder:
    app = staticmethod(_app_saying("nested"))


class ClassApp:
    """An application that is a class: PEP 3333's own example."""

    def __init__(self, environ, start_response):
        self.start = start_response

    def __iter__(self):
        self.start("200 OK", [("Content-Type", "text/plain")])
        yield b"class"


holder = Holder()
not_callable = 42


def broken_factory():
    raise TypeError("the factory itself is broken")
