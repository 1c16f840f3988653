# SPDX-License-Identifier: MIT
"""Calls the hooks of the configuration file, with stand-ins for Gunicorn's
arbiter, worker, request and response.

Compiled into the host (see embed.py), and run only where a hook is set.
"""
import datetime
import http
import importlib
import logging
import os
import signal
import sys
import time


def nothing(*args):
    """The default of a hook."""


class Settings:
    """cfg: the settings under Gunicorn's names, as Gunicorn types them."""

    def __init__(self, pairs, kinds, objects):
        texts = {}
        for name, text in pairs:
            texts.setdefault(name, []).append(text)
        self.values = {
            name: typed(kind, texts.get(name, []))
            for name, kind in kinds.items() if kind != "OBJECT"}
        self.values["user"], self.values["group"] = os.geteuid(), os.getegid()
        self.values["chdir"] = texts.get("chdir", [""])[0]
        self.objects = objects

    def __getattr__(self, name):
        if name.startswith("__") or name in ("values", "objects"):
            raise AttributeError(name)
        if name in self.objects:
            return self.objects[name]
        if name in self.values:
            return self.values[name]
        if name in HOOKS:
            return nothing
        if name == "logconfig_dict":
            return {}
        raise AttributeError("No configuration setting for: %s" % name)

    @property
    def settings(self):
        return {name: Setting(name, value)
                for name, value in {**self.values, **self.objects}.items()}

    @property
    def address(self):
        return [address_of(text) for text in self.bind]

    @property
    def worker_class_str(self):
        return self.values["worker_class"]

    @property
    def proc_name(self):
        return self.values["proc_name"] or self.values["wsgi_app"]

    @property
    def env(self):
        return dict(text.split("=", 1) for text in self.raw_env)

    @property
    def is_ssl(self):
        return False

    @property
    def uid(self):
        return os.geteuid()

    @property
    def gid(self):
        return os.getegid()


class Setting:
    def __init__(self, name, value):
        self.name, self.value = name, value

    def get(self):
        return self.value


HOOKS = {
    "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork",
    "post_worker_init", "worker_int", "worker_abort", "pre_exec",
    "pre_request", "post_request", "child_exit", "worker_exit",
    "nworkers_changed", "on_exit"}


def typed(kind, texts):
    text = texts[0] if texts else ""
    if kind in ("INT", "OCTAL"):
        return int(text or "0")
    if kind in ("BOOL", "OFF"):
        return text in ("1", "true")
    if kind == "LIST":
        return texts
    if kind == "COMMAS":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "DICT":
        return dict(line.split("=", 1) for line in text.splitlines())
    return text if text or kind == "TEXT" else None


def address_of(text):
    if text.startswith("unix:"):
        return text[7:] if text.startswith("unix://") else text[5:]
    if text.startswith("fd://"):
        return int(text[5:])
    host, _, port = text.replace("tcp://", "").rpartition(":")
    return (host.strip("[]") or "0.0.0.0", int(port)) if port.isdigit() \
        else (text, 8000)


class Log:
    """server.log and worker.log: the error log, through Python's logging."""

    def __init__(self, fd, level):
        self.error_log = logging.getLogger("gunicorn.error")
        self.access_log = logging.getLogger("gunicorn.access")
        if self.error_log.handlers:
            return
        stream = open(fd, "w", 1, "utf-8", "backslashreplace", closefd=False)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(
            "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "[%Y-%m-%d %H:%M:%S %z]"))
        self.error_log.addHandler(handler)
        self.error_log.propagate = False
        self.error_log.setLevel(
            getattr(logging, (level or "info").upper(), logging.INFO))

    def __getattr__(self, name):
        if name in ("critical", "error", "warning", "info", "debug",
                    "exception", "log"):
            return getattr(self.error_log, name)
        raise AttributeError(name)


DEFAULT_LOGGERS = (None, "", "simple", "gunicorn.glogging.Logger",
                   "gunicorn.instrument.statsd.Statsd")


def python_logger(cfg):
    """What makes the logger, where logging is Python's business: a
    logger_class of one's own, or Gunicorn's with a logconfig."""
    name = cfg.values["logger_class"]
    found = cfg.objects.get("logger_class")
    if name in DEFAULT_LOGGERS:
        if not (cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json):
            return None
        name = "gunicorn.glogging.Logger"
    elif found is not None and name == "%s.%s" % (found.__module__,
                                                  found.__qualname__):
        return found
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


class Application:
    """server.app"""

    def __init__(self, cfg):
        self.cfg, self.callable = cfg, None
        self.app_uri = cfg.wsgi_app

    def wsgi(self):
        return self.callable


class Server:
    """What hooks know as the arbiter: the master, seen from here."""

    def __init__(self, cfg, log, pid):
        self.cfg, self.log, self.pid = cfg, log, pid
        self.app = Application(cfg)
        self.address = cfg.address
        self.LISTENERS = list(cfg.bind)
        self.WORKERS = {}
        self.num_workers = cfg.workers
        self.worker_age = 0
        self.proc_name = cfg.proc_name
        self.timeout = cfg.timeout
        self.pidfile = cfg.pidfile
        self.master_pid, self.master_name = 0, "Master"


class Worker:
    def __init__(self, server, age):
        self.age, self.ppid, self.cfg = age, server.pid, server.cfg
        self.log, self.app, self.timeout = server.log, server.app, \
            server.timeout
        self.pid, self.nr = None, 0
        self.sockets = server.LISTENERS
        self.alive, self.booted, self.aborted = True, False, False
        self.max_requests = self.cfg.max_requests or sys.maxsize
        self.tmp = self.wsgi = None

    def __str__(self):
        return "<Worker %s>" % self.pid


class Request:
    """What hooks know of a request: read from its environ."""

    def __init__(self, environ):
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.uri = environ.get("RAW_URI", environ["PATH_INFO"])
        self.path, _, self.query = self.uri.partition("?")
        self.fragment = ""
        self.scheme = environ["wsgi.url_scheme"]
        self.version = tuple(
            int(part) for part in
            environ["SERVER_PROTOCOL"].rpartition("/")[2].split(".")
            if part.isdigit()) or (1, 1)
        self.body = environ["wsgi.input"]
        self.trailers = []
        self.remote_addr = self.peer_addr = (
            environ.get("REMOTE_ADDR", ""),
            int(environ.get("REMOTE_PORT") or 0))
        self.proxy_protocol_info = None

    @property
    def headers(self):
        fields = [(name[5:].replace("_", "-"), value)
                  for name, value in self.environ.items()
                  if name.startswith("HTTP_")]
        fields += [(name.replace("_", "-"), self.environ[name])
                   for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
                   if self.environ.get(name)]
        return fields

    def should_close(self):
        return self.environ.get("HTTP_CONNECTION", "").lower() == "close"


class Response:
    def __init__(self, request):
        self.req, self.headers = request, []
        self.status = self.status_code = None
        self.sent, self.response_length = 0, None
        self.headers_sent = self.chunked = self.must_close = False

    def start(self, status, headers):
        self.status, self.headers = status, list(headers)
        code = status[:3]
        self.status_code = int(code) if code.isdigit() else None
        for name, value in headers:
            if name.lower() == "content-length" and value.isdigit():
                self.response_length = int(value)


class Body:
    """The application's iterable, watched for its end."""

    def __init__(self, result, response, ended):
        self.result, self.parts = result, iter(result)
        self.response, self.ended = response, ended

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self.parts)
        self.response.headers_sent = True
        self.response.sent += len(part)
        return part

    def close(self):
        ended, self.ended = self.ended, None
        try:
            if hasattr(self.result, "close"):
                self.result.close()
        finally:
            if ended is not None:
                ended()


class Around:
    """pre_request, post_request and a logger's access(), around requests."""

    def __init__(self, hooks, worker, log):
        self.before = hooks.get("pre_request")
        self.after = hooks.get("post_request")
        self.worker, self.log = worker, log
        self.count = sum(parameter.kind in (parameter.POSITIONAL_ONLY,
                                            parameter.POSITIONAL_OR_KEYWORD)
                         for parameter in parameters_of(self.after)) \
            if self.after else 0

    def is_nothing(self):
        return self.before is None and self.ends_with_nothing()

    def ends_with_nothing(self):
        return self.after is None and self.log is None

    def begin(self, environ):
        """The response that is to come."""
        self.worker.nr += 1
        request = Request(environ)
        response = Response(request)
        response.began = time.monotonic()
        if self.before is not None:
            self.before(self.worker, request)
        return response

    def end(self, response):
        request = response.req
        if self.log is not None:
            self.log.access(response, request, request.environ,
                            datetime.timedelta(
                                seconds=time.monotonic() - response.began))
        try:
            if self.after is not None:
                self.after(*(self.worker, request, request.environ,
                             response)[:self.count])
        except Exception:
            self.worker.log.exception("Exception in post_request hook")


def around_wsgi(application, around):
    def call(environ, start_response):
        response = around.begin(environ)
        if around.ends_with_nothing():
            return application(environ, start_response)

        def start(status, headers, exc_info=None):
            response.start(status, headers)
            if exc_info is None:
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        def ended():
            around.end(response)

        try:
            return Body(application(environ, start), response, ended)
        except BaseException:
            ended()
            raise

    return call


def environ_of(scope):
    """The scope in the words of WSGI, which hooks and loggers speak."""
    query = scope["query_string"].decode("latin-1")
    path, root = scope["path"], scope["root_path"]
    address, port = scope.get("client") or ("", 0)
    name, listens = scope.get("server") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope.get("method", "GET"), "SCRIPT_NAME": root,
        "PATH_INFO": path[len(root):] if path.startswith(root) else path,
        "QUERY_STRING": query,
        "RAW_URI": scope["raw_path"].decode("latin-1") +
        ("?" + query if query else ""),
        "SERVER_PROTOCOL": "HTTP/" + scope["http_version"],
        "SERVER_NAME": name, "SERVER_PORT": str(listens or ""),
        "REMOTE_ADDR": address, "REMOTE_PORT": str(port),
        "wsgi.url_scheme": scope["scheme"], "wsgi.input": None,
        "wsgi.errors": sys.stderr, "asgi.scope": scope}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        value = value.decode("latin-1")
        environ[key] = environ[key] + "," + value if key in environ else value
    return environ


REASONS = {status.value: status.phrase for status in http.HTTPStatus}


def note_message(response, message):
    """What a message to the client says of the response."""
    kind = message["type"]
    if kind.endswith("http.response.start"):
        code = message["status"]
        response.start(
            "%d %s" % (code, REASONS.get(code, "")),
            [(name.decode("latin-1"), value.decode("latin-1"))
             for name, value in message.get("headers", ())])
    elif kind.endswith("http.response.body"):
        response.headers_sent = True
        response.sent += len(message.get("body", b""))
    elif kind == "websocket.accept":
        response.start("101 Switching Protocols", [])
    elif kind == "websocket.close" and response.status is None:
        response.start("403 Forbidden", [])


def around_asgi(application, around):
    async def call(scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await application(scope, receive, send)
        response = around.begin(environ_of(scope))

        def sending(message):
            sent = send(message)  # raises what is no message
            note_message(response, message)
            return sent

        try:
            await application(scope, receive, sending)
        except Exception:
            if response.status is None:
                response.start("500 Internal Server Error", [])
            raise
        finally:
            around.end(response)

    return call


def parameters_of(function):
    import inspect
    return inspect.signature(function).parameters.values()


class Hooks:
    """One process's: the template's, and a copy in each interpreter."""

    def __init__(self, pairs, kinds, objects, master, log_fd):
        self.hooks = {name: hook for name, hook in objects.items()
                      if name in HOOKS}
        self.cfg = Settings(pairs, kinds, objects)
        make_log = python_logger(self.cfg)
        self.log = make_log(self.cfg) if make_log else None
        self.server = Server(
            self.cfg, self.log or Log(log_fd, self.cfg.loglevel), master)
        self.worker = None

    def call(self, name, *args):
        hook = self.hooks.get(name)
        if hook is not None:
            hook(*args)

    # ---- in the template

    def event(self, name, pid, count, before):
        """What the master says has happened."""
        server = self.server
        if name == "nworkers_changed":
            server.num_workers = count
            self.call(name, server, count, before if before >= 0 else None)
        elif name == "child_exit":
            worker = server.WORKERS.pop(pid, None)
            if worker is not None:
                worker.alive = False
                self.call(name, server, worker)
        else:
            self.call(name, server)

    def pre_fork(self, age):
        self.server.worker_age = age
        self.worker = Worker(self.server, age)
        self.call("pre_fork", self.server, self.worker)

    def forked(self, pid):
        self.worker.pid = pid
        self.server.WORKERS[pid] = self.worker

    # ---- in an interpreter

    def post_fork(self):
        self.worker.pid = os.getpid()
        abort = self.hooks.get("worker_abort")
        if abort is not None:
            signal.signal(signal.SIGABRT, self.aborted)
        self.call("post_fork", self.server, self.worker)

    def aborted(self, number, frame):
        self.worker.aborted, self.worker.alive = True, False
        self.call("worker_abort", self.worker)
        sys.exit(1)

    def loaded(self, application, is_asgi):
        """The application is there: what is to be called in its place."""
        self.worker.wsgi = self.server.app.callable = application
        self.worker.booted = True
        self.call("post_worker_init", self.worker)
        around = Around(self.hooks, self.worker, self.log)
        if around.is_nothing():
            return application
        return (around_asgi if is_asgi else around_wsgi)(application, around)

    def leaving(self, interrupted):
        self.worker.alive = False
        if interrupted:
            self.call("worker_int", self.worker)
        self.call("worker_exit", self.server, self.worker)


def make(pairs, kinds, objects, master, log_fd):
    """None where no hook and no logger is set: there is nothing to call."""
    if not (any(name in HOOKS for name in objects) or
            python_logger(Settings(pairs, kinds, objects))):
        return None
    return Hooks(pairs, kinds, objects, master, log_fd)
