# SPDX-License-Identifier: MIT
"""Modules named gunicorn.*, for configuration files and applications that
import them where Gunicorn is not installed. Where it is, it is found first.

Compiled into the host (see embed.py), and run only if something is imported.
"""
import datetime
import json
import logging
import logging.config
import os
import sys
import threading
import time

VERSION = (27, 0, 1)  # whose names these are


class ConfigError(Exception):
    pass


class AppImportError(Exception):
    pass


class HaltServer(BaseException):
    def __init__(self, reason, exit_status=1):
        self.reason, self.exit_status = reason, exit_status


# ---- gunicorn.glogging

CONFIG_DEFAULTS = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {
            "level": "INFO", "handlers": ["error_console"],
            "propagate": True, "qualname": "gunicorn.error"},
        "gunicorn.access": {
            "level": "INFO", "handlers": ["console"],
            "propagate": True, "qualname": "gunicorn.access"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic",
                    "stream": "ext://sys.stdout"},
        "error_console": {"class": "logging.StreamHandler",
                          "formatter": "generic",
                          "stream": "ext://sys.stderr"},
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            "class": "logging.Formatter"},
    },
}


class SafeAtoms(dict):
    """Values of the access log: what is missing is "-"."""

    def __init__(self, atoms):
        super().__init__()
        for name, value in atoms.items():
            if isinstance(value, str):
                value = value.replace('"', '\\"')
            self[name] = value

    def __getitem__(self, name):
        if name.startswith("{"):
            name = name.lower()
        return super().__getitem__(name) if name in self else "-"


class Logger:
    LOG_LEVELS = {"critical": logging.CRITICAL, "error": logging.ERROR,
                  "warning": logging.WARNING, "info": logging.INFO,
                  "debug": logging.DEBUG}
    loglevel = logging.INFO
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg):
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers, self.access_handlers = [], []
        self.logfile = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg):
        self.loglevel = self.LOG_LEVELS.get(
            str(cfg.loglevel).lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter(
            self.error_fmt, self.datefmt))
        if cfg.accesslog is not None:
            self._set_handler(self.access_log, cfg.accesslog,
                              logging.Formatter(self.access_fmt),
                              stream=sys.stdout)
        if cfg.logconfig_dict:
            self._configure(cfg.logconfig_dict)
        elif cfg.logconfig_json:
            with open(cfg.logconfig_json) as file:
                self._configure(json.load(file))
        elif cfg.logconfig:
            logging.config.fileConfig(
                cfg.logconfig, disable_existing_loggers=False,
                defaults={"__file__": cfg.logconfig,
                          "here": os.path.dirname(cfg.logconfig)})

    def _configure(self, given):
        merged = CONFIG_DEFAULTS.copy()
        merged.update(given)
        logging.config.dictConfig(merged)

    def _get_gunicorn_handler(self, log):
        for handler in log.handlers:
            if getattr(handler, "_gunicorn", False):
                return handler
        return None

    def _set_handler(self, log, output, fmt, stream=None):
        old = self._get_gunicorn_handler(log)
        if old is not None:
            log.handlers.remove(old)
        if output is None:
            return
        if output == "-":
            handler = logging.StreamHandler(stream)
        else:
            handler = logging.FileHandler(output)
        handler.setFormatter(fmt)
        handler._gunicorn = True
        log.addHandler(handler)

    def critical(self, msg, *args, **kwargs):
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg, *args, **kwargs):
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    def atoms(self, resp, req, environ, request_time):
        status = resp.status
        if isinstance(status, str):
            status = status.split(None, 1)[0]
        sent = getattr(resp, "sent", None)
        seconds = request_time.seconds
        atoms = {
            "h": environ.get("REMOTE_ADDR", "-"), "l": "-", "u": "-",
            "t": self.now(),
            "r": "%s %s %s" % (environ["REQUEST_METHOD"], environ["RAW_URI"],
                               environ["SERVER_PROTOCOL"]),
            "s": status, "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"), "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": str(sent) if sent is not None else "-", "B": sent,
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": seconds,
            "D": seconds * 1000000 + request_time.microseconds,
            "M": seconds * 1000 + request_time.microseconds // 1000,
            "L": "%d.%06d" % (seconds, request_time.microseconds),
            "p": "<%s>" % os.getpid(),
        }
        for kind, pairs in (
                ("i", getattr(req, "headers", [])),
                ("o", getattr(resp, "headers", [])),
                ("e", environ.items())):
            for name, value in pairs:
                atoms["{%s}%s" % (str(name).lower(), kind)] = value
        return atoms

    @property
    def access_log_enabled(self):
        return bool(self.cfg.accesslog or self.cfg.logconfig or
                    self.cfg.logconfig_json or self.cfg.logconfig_dict)

    def access(self, resp, req, environ, request_time):
        if not self.access_log_enabled:
            return
        values = self.atoms_wrapper_class(
            self.atoms(resp, req, environ, request_time))
        try:
            self.access_log.info(self.cfg.access_log_format, values)
        except Exception:
            self.exception("Cannot write the access log")

    def now(self):
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self):
        for log in self.error_log, self.access_log:
            for handler in log.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.acquire()
                    try:
                        handler.close()
                        handler.stream = handler._open()
                    finally:
                        handler.release()

    def close_on_exec(self):
        pass


# ---- gunicorn.config

class Setting:
    def __init__(self, name, value=None):
        self.name, self.value = name, value

    def get(self):
        return self.value

    def set(self, value):
        self.value = value


class Config:
    """The settings of a BaseApplication: kept, and shown as a command."""

    def __init__(self, usage=None, prog=None):
        self.__dict__["settings"] = {
            name: Setting(name) for name in KINDS}
        self.__dict__["usage"], self.__dict__["prog"] = usage, prog
        self.__dict__["env_orig"] = os.environ.copy()

    def __getattr__(self, name):
        try:
            return self.settings[name].get()
        except KeyError:
            raise AttributeError("No configuration setting for: %s" % name
                                 ) from None

    def __setattr__(self, name, value):
        if name in self.settings:
            raise AttributeError("Invalid access!")
        super().__setattr__(name, value)

    def set(self, name, value):
        if name not in self.settings:
            raise AttributeError("No configuration setting for: %s" % name)
        self.settings[name].set(value)

    def validate(self):
        pass


# ---- gunicorn.app.base

class BaseApplication:
    def __init__(self, usage=None, prog=None):
        self.usage, self.prog = usage, prog
        self.callable = self.logger = None
        self.do_load_config()

    def do_load_config(self):
        self.load_default_config()
        self.load_config()

    def load_default_config(self):
        self.cfg = Config(self.usage, prog=self.prog)

    def init(self, parser, opts, args):
        raise NotImplementedError

    def load(self):
        raise NotImplementedError

    def load_config(self):
        raise NotImplementedError

    def reload(self):
        self.do_load_config()

    def wsgi(self):
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self):
        import shlex
        words = ["gcorn"]
        for setting in self.cfg.settings.values():
            if setting.value is not None:
                words += flags_of(setting.name, setting.value)
        print("\nError: an application object cannot start gcorn. Leave out "
              "run(), name the\napplication on the command line, and put "
              "what has no flag into gunicorn.conf.py:\n\n    %s "
              "MODULE:APPLICATION\n" % shlex.join(words), file=sys.stderr)
        sys.exit(1)


def flags_of(name, value):
    if callable(value) or isinstance(value, dict):
        return []
    flag = "--" + FLAGS.get(name, name.replace("_", "-"))
    if isinstance(value, bool):
        return [flag] if value else []
    values = value if isinstance(value, (list, tuple)) else [value]
    return [word for item in values for word in (flag, str(item))]


FLAGS = {"keepalive": "keep-alive", "accesslog": "access-logfile",
         "access_log_format": "access-logformat", "errorlog": "log-file",
         "loglevel": "log-level", "preload_app": "preload", "pidfile": "pid",
         "proc_name": "name", "raw_env": "env",
         "limit_request_field_size": "limit-request-field_size",
         "reload_extra_files": "reload-extra-file", "logconfig": "log-config"}


# ---- gunicorn.workers, gunicorn.arbiter

class Worker:
    """A class to name, or to ask hooks about: it is never run here."""
    SIGNALS = []

    def __init__(self, age, ppid, sockets, app, timeout, cfg, log):
        self.age, self.ppid, self.sockets = age, ppid, sockets
        self.app, self.timeout, self.cfg, self.log = app, timeout, cfg, log
        self.pid, self.booted, self.aborted, self.alive = "?", False, \
            False, True

    def notify(self):
        pass

    def init_process(self):
        pass

    def run(self):
        raise NotImplementedError


class SyncWorker(Worker):
    pass


class ThreadWorker(Worker):
    pass


class AsyncWorker(Worker):
    pass


class GeventWorker(AsyncWorker):
    pass


class GeventPyWSGIWorker(AsyncWorker):
    pass


class TornadoWorker(Worker):
    pass


class Arbiter:
    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4


def bytes_to_str(value):
    return value.decode("latin1") if isinstance(value, bytes) else value


def to_bytestring(value, encoding="utf8"):
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError("%r is not a string" % (value,))
    return value.encode(encoding)


def is_ipv6(address):
    import socket
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return False
    return True


def getcwd():
    return os.environ.get("PWD") or os.getcwd()


def http_date(timestamp=None):
    from email.utils import formatdate
    return formatdate(timestamp, localtime=False, usegmt=True)


def load_class(uri, default="gunicorn.workers.sync.SyncWorker",
               section="gunicorn.workers"):
    import importlib
    if isinstance(uri, type):
        return uri
    module, _, name = uri.rpartition(".")
    return getattr(importlib.import_module(module), name)


class Request:
    pass


class Response:
    pass


VERSION_TEXT = ".".join(map(str, VERSION))
ERRORS = {"ConfigError": ConfigError, "AppImportError": AppImportError,
          "HaltServer": HaltServer}
MODULES = {
    "gunicorn": {"__version__": VERSION_TEXT, "version_info": VERSION,
                 "SERVER": "gunicorn",
                 "SERVER_SOFTWARE": "gunicorn/" + VERSION_TEXT},
    "gunicorn.errors": ERRORS,
    "gunicorn.glogging": {"Logger": Logger, "SafeAtoms": SafeAtoms,
                          "CONFIG_DEFAULTS": CONFIG_DEFAULTS,
                          "logging": logging, "os": os, "sys": sys,
                          "time": time, "datetime": datetime},
    "gunicorn.config": {"Config": Config, "Setting": Setting,
                        "make_settings": lambda ignore=None: {
                            name: Setting(name) for name in KINDS}},
    "gunicorn.app": {},
    "gunicorn.app.base": {"BaseApplication": BaseApplication,
                          "Application": BaseApplication},
    "gunicorn.app.wsgiapp": {"WSGIApplication": BaseApplication},
    "gunicorn.workers": {"SUPPORTED_WORKERS": {
        "sync": "gunicorn.workers.sync.SyncWorker",
        "gthread": "gunicorn.workers.gthread.ThreadWorker"}},
    "gunicorn.workers.base": {"Worker": Worker},
    "gunicorn.workers.sync": {"SyncWorker": SyncWorker},
    "gunicorn.workers.gthread": {"ThreadWorker": ThreadWorker},
    "gunicorn.workers.base_async": {"AsyncWorker": AsyncWorker},
    "gunicorn.workers.ggevent": {
        "GeventWorker": GeventWorker, "GeventPyWSGIWorker": GeventPyWSGIWorker},
    "gunicorn.workers.gtornado": {"TornadoWorker": TornadoWorker},
    "gunicorn.arbiter": {"Arbiter": Arbiter},
    "gunicorn.util": {"bytes_to_str": bytes_to_str, "http_date": http_date,
                      "load_class": load_class, "getcwd": getcwd,
                      "is_ipv6": is_ipv6, "to_bytestring": to_bytestring},
    "gunicorn.instrument": {},
    "gunicorn.instrument.statsd": {"Statsd": type("Statsd", (Logger,), {})},
    "gunicorn.http": {},
    "gunicorn.http.message": {"Request": Request},
    "gunicorn.http.wsgi": {"Response": Response},
    "gunicorn.http.errors": ERRORS,
}
KINDS = {}  # the settings there are; set by whoever loads this


def name_classes():
    """Each class says the module that it is imported from."""
    for module, names in MODULES.items():
        for value in names.values():
            if isinstance(value, type) and value.__module__ == __name__:
                value.__module__ = module


def fill(module):
    for name, value in MODULES[module.__name__].items():
        setattr(module, name, value)


name_classes()
