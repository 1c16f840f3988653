# SPDX-License-Identifier: MIT
"""Runs the configuration file and takes from it what are settings.

Compiled into the host (see embed.py). The values are checked here as far as
they are Python's business, with the messages of Gunicorn; the master checks
the rest.
"""
import configparser
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import re
import sys
import traceback
import types

# Names that the file may set because they are Python's: name -> object.
objects = {}
kinds = {}  # name -> kind, of all settings

ARITY = {
    "on_starting": 1, "on_reload": 1, "when_ready": 1, "pre_fork": 2,
    "post_fork": 2, "post_worker_init": 1, "worker_int": 1, "worker_abort": 1,
    "pre_exec": 1, "pre_request": 2, "post_request": -1, "child_exit": 2,
    "worker_exit": 2, "nworkers_changed": 3, "on_exit": 1, "ssl_context": 2,
    "on_dirty_starting": 1, "dirty_post_fork": 2, "dirty_worker_init": 1,
    "dirty_worker_exit": 2,
}
# Words to choose from: what None means, and what is said of "".
CHOICES = {
    "asgi_loop": ("auto", "Invalid ASGI loop: "),
    "asgi_lifespan": ("auto", "Invalid ASGI lifespan: "),
    "header_map": (None, "Invalid header map behaviour: "),
    "http2_cleartext": ("off", "Invalid http2_cleartext: "),
    "http_protocols": ("h1", None),  # that, too
    "http_parser": ("auto", "http_parser must be one of: auto, fast, python"),
}
WRONG_TYPE = {
    **dict.fromkeys(("asgi_loop", "asgi_lifespan", "header_map",
                     "http2_cleartext"), "Invalid type for casting: %s"),
    "http_parser": "http_parser must be a string%.0s",
    "http_protocols": "http_protocols must be a string%.0s",
    "proxy_protocol": "proxy_protocol must be string or bool%.0s",
}
SWITCHES = {  # a bool in place of a string
    "proxy_protocol": ("off", "auto"),
    "http2_cleartext": ("off", "prior-knowledge"),
    "proxy_headers": ("off", "auto"),
    "ws_per_message_deflate": ("false", "true"),
}


class Shims:
    """Finds our gunicorn.* where nobody else finds one."""

    def __init__(self):
        self.names = None

    def load(self):
        if self.names is None:
            self.names = {"__name__": "gunicorn", "__file__": __file__}
            exec(compile(shims_source, "<gcorn gunicorn>", "exec"),
                 self.names)
            self.names["KINDS"].update(kinds)
        return self.names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "gunicorn":
            return None
        found = sys.modules.get("gunicorn")
        if found is not None and getattr(found, "__file__", None):
            return None  # the real one is installed, and lacks this part
        modules = self.load()["MODULES"]
        if name not in modules:
            return None
        return importlib.machinery.ModuleSpec(
            name, self, is_package=any(
                other.startswith(name + ".") for other in modules))

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.load()["fill"](module)


class Failed(Exception):
    """The text for whoever started gcorn."""


def number(name, value):
    value = int(value) if isinstance(value, int) else int(value, 0)
    if value < 0:
        raise ValueError("Value must be positive: %s" % value)
    return str(value)


def boolean(name, value):
    if value is None or isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise TypeError("Invalid type for casting: %s" % value)
    if value.lower().strip() not in ("true", "false"):
        raise ValueError("Invalid boolean: %s" % value)
    return value.lower().strip()


def string(name, value):
    if value is None:
        return CHOICES[name][0] if name in CHOICES else None
    if name in SWITCHES and isinstance(value, bool):
        return SWITCHES[name][value]
    if name in ("user", "group") and isinstance(value, int):
        return str(value)
    if name == "ssl_version":
        return "%s" % (int(value) if isinstance(value, int) else value)
    if name in ("worker_class", "logger_class"):
        value = class_name(name, value)
    if not isinstance(value, str):
        raise TypeError(WRONG_TYPE.get(name, "Not a string: %s") % (value,))
    if name in CHOICES and not value.strip():
        default, message = CHOICES[name]
        if message:
            raise ValueError(message)
        return default
    return value.strip()


def class_name(name, value):
    if inspect.isfunction(value) or inspect.ismethod(value):
        value = value()
    if not inspect.isclass(value):
        return value
    if name == "logger_class":
        objects[name] = value
    return "%s.%s" % (value.__module__, value.__qualname__)


def strings(name, value):
    if not value:
        return []
    if isinstance(value, str):
        value = [value]
    return [string(name, item) or "" for item in value]


def dictionary(name, value):
    if not isinstance(value, dict):
        raise TypeError("Value is not a dictionary: %s " % (value,))
    return "\n".join("%s=%s" % pair for pair in value.items())


def arity_of(function):
    """How many positional arguments it takes, as Gunicorn counts them."""
    return sum(parameter.kind in (parameter.POSITIONAL_ONLY,
                                  parameter.POSITIONAL_OR_KEYWORD)
               for parameter in
               inspect.signature(function).parameters.values())


def import_callable(text):
    module, _, name = text.rpartition(".")
    if not module:
        raise TypeError("Value '%s' is not import string. "
                        "Format: module[.submodules...].object" % text)
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise TypeError(str(error)) from None
    except AttributeError:
        raise TypeError("Can not load '%s' from '%s'"
                        % (name, module)) from None


def hook(name, value):
    if isinstance(value, str):
        value = import_callable(value)
    if not callable(value):
        raise TypeError("Value is not callable: %s" % (value,))
    count = arity_of(value)
    if name == "post_request":
        if count not in (2, 3, 4):
            raise TypeError("Value must have an arity of: 4")
    elif count != ARITY[name]:
        raise TypeError("Value must have an arity of: %s" % ARITY[name])
    objects[name] = value
    title = getattr(value, "__qualname__", type(value).__qualname__)
    return "<%s()>" % title


def kept(name, value):
    if name in ARITY:
        return hook(name, value)
    if not isinstance(value, dict):
        raise TypeError("Value is not a dictionary: %s " % (value,))
    objects[name] = value
    return repr(value)


CHECKS = {"INT": number, "OCTAL": number, "BOOL": boolean, "OFF": boolean,
          "STRING": string, "TEXT": string, "COMMAS": string, "MODE": string,
          "LIST": strings, "DICT": dictionary, "OBJECT": kept}


def pairs_of(name, kind, value):
    """What the master is told; "!name" takes the setting back."""
    try:
        result = CHECKS[kind](name, value)
        if isinstance(result, str) and "\0" in result:
            raise ValueError("embedded null character")
    except Exception as error:
        raise Failed("Invalid value for %s: %s\n\n\nError: %s"
                     % (name, value, error)) from None
    if result is None or result == []:
        return [("!" + name, "")]
    if isinstance(result, list):
        return [(name, item) for item in result]
    return [(name, result)]


def execute(path):
    """The namespace of the file, run as the module __config__."""
    if not os.path.exists(path):
        raise Failed("\nError: %r doesn't exist" % path)
    name, loader = "__config__", None
    if os.path.splitext(path)[1] not in (".py", ".pyc"):
        print("WARNING: configuration file should have a valid Python "
              "extension.\n", file=sys.stderr)
        loader = importlib.machinery.SourceFileLoader(name, path)
    try:
        spec = importlib.util.spec_from_file_location(
            name, os.path.abspath(path), loader=loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except BaseException as error:
        raise Failed("Failed to read config file: %s\n%s"
                     % (path, described(error))) from None
    return vars(module)


def imported(name):
    try:
        return vars(importlib.import_module(name))
    except BaseException as error:
        raise Failed("%s\nError: %s" % (described(error), error)) from None


def described(error):
    frames = error.__traceback__
    while frames and (frames.tb_frame.f_code.co_filename == __file__ or
                      "importlib" in frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)
                   ).rstrip()


def namespace(location):
    if location.startswith("python:"):
        return imported(location[len("python:"):])
    if location.startswith("file:"):
        location = location[len("file:"):]
    return execute(location)


def paste_file(path):
    """The PasteDeploy file, in the view of this module: an ini file."""
    path = os.path.abspath(path.partition("#")[0])
    parser = configparser.ConfigParser(
        {"here": os.path.dirname(path), "__file__": path}, strict=False)
    try:
        with open(path) as file:
            parser.read_file(file)
    except OSError as error:
        raise Failed("\nError: %r not found" % path) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Failed("Failed to read paste file: %s\n%s"
                     % (path, error)) from None
    return path, parser


def bind_of(values):
    """Other servers of PasteDeploy have two settings for it."""
    host, port = values.pop("host", ""), values.pop("port", "")
    if host and port:
        values["bind"] = "%s:%s" % (host, port)
    elif host:
        values["bind"] = host.split(",")
    return values


def paste_settings(path):
    """What the file sets, for a server that is Gunicorn, and for logging."""
    path, parser = paste_file(path)
    names = {}
    if parser.has_section("server:main"):
        try:
            values = {key: value for key, value in parser.items("server:main")
                      if key not in parser.defaults()}
        except configparser.Error as error:
            raise Failed("\nError: %s: %s" % (path, error)) from None
        if re.fullmatch(r"egg:(gunicorn|gcorn)(#main)?",
                        values.pop("use", "").strip()):
            names = bind_of(values)
    for name in set(names) - set(kinds) - {"config"}:
        raise Failed("\nError: %s: there is no setting %r (in [server:main])"
                     % (path, name))
    if parser.has_section("loggers"):
        names["logconfig"] = path
    return names


def names_of(location, paste):
    """Name -> value: the configuration file's over the PasteDeploy file's."""
    names = dict(namespace(location)) if location else {}
    paste = paste or names.get("paste")
    if not paste:
        return names
    settings = paste_settings(paste)
    if not location and settings.get("config"):
        names = dict(namespace(settings["config"]))
    settings.pop("config", None)
    return {**settings, **names}


def read(location, cwd, accepts, paste):
    """[(name, text), ...], or what to say when it cannot be used."""
    kinds.update(entry.split("=") for entry in accepts.split())
    sys.meta_path.append(Shims())
    if cwd not in sys.path:
        sys.path.insert(0, cwd)
    pairs = []
    try:
        os.chdir(cwd)
        for name, value in names_of(location, paste).items():
            # "import io" sets nothing.
            if name in kinds and not isinstance(value, types.ModuleType):
                pairs += pairs_of(name, kinds[name], value)
    except Failed as failure:
        return str(failure)
    except OSError as error:
        return "\nError: %s" % error
    finally:
        sys.stdout and sys.stdout.flush()
    return pairs


def set_environ(text):
    name, _, value = text.partition("=")
    os.environ[name] = value
