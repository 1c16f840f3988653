# SPDX-License-Identifier: MIT
"""What the host does in Python: find the application, keep its threads.

Compiled into the host (see embed.py) and run in a namespace of its own, so
that no module of the application can have the same name.
"""
import _thread
import ast
import faulthandler
import gc
import importlib
import inspect
import os
import sys
import threading
import traceback

# Exit codes of an interpreter that cannot serve, as Gunicorn has them.
BOOT_ERROR = 3  # the application raised while it was imported
LOAD_ERROR = 4  # it was imported, but is not there or is no application


class NotAnApplication(Exception):
    """The name given leads to nothing that can be served."""


class RequestTimeout(TimeoutError):
    """Raised in a request that takes too long: see --timeout-soft."""

    __module__ = "gcorn"


# As it is now: a thread of ours must not become a greenlet.
start_new_thread = _thread.start_new_thread


def start_thread(target):
    start_new_thread(target, ())


def insert_paths(chdir, pythonpath):
    """chdir comes first, and before it what pythonpath lists."""
    if chdir not in sys.path:
        sys.path.insert(0, chdir)
    for path in pythonpath.split(",") if pythonpath else []:
        path = os.path.abspath(path)
        if path not in sys.path:
            sys.path.insert(0, path)


def show_stacks(fd, number):
    """Stacks go to the log on a crash, and on a signal even with the GIL
    stuck in a C call: the handlers are faulthandler's own, in C."""
    faulthandler.enable(file=fd, all_threads=True)
    faulthandler.register(number, file=fd, all_threads=True, chain=False)


def settle():
    """What was loaded so far is shared by the children to come: out of the
    collector's way, its pages stay unwritten."""
    gc.collect()
    gc.freeze()


def flush():
    """Text left in these buffers would be written once by each child."""
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # None, closed, or nobody reads: not for us to tell


def is_ours(frame):
    name = frame.tb_frame.f_code.co_filename
    return (name in (__file__, importlib.__file__) or
            name.startswith("<frozen importlib"))


def describe(error):
    """The traceback without the frames that led to the application."""
    frames = error.__traceback__
    while frames and is_ours(frames):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def import_named(module):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Only when it is the application itself; what it imports is its own.
        if error.name and (module + ".").startswith(error.name + "."):
            error.add_note(hint(module))
        raise


def hint(module):
    if module.endswith(".py"):
        return "gcorn: a module is named without its suffix: %s" % module[:-3]
    text = "gcorn: looked for %s in %s" % (
        module, ", ".join(repr(path) for path in sys.path))
    if sys.prefix == sys.base_prefix:
        text += (" (Python is %s, no virtual environment: see --python)"
                 % sys.executable)
    return text


def parse(expression):
    """("obj", "app"), args and kwargs; args is None when nothing is called."""
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise NotAnApplication(
            "%r is neither a name nor a call of one" % expression) from None
    args = kwargs = None
    if isinstance(node, ast.Call):
        args, kwargs = literals(node, expression)
        node = node.func
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise NotAnApplication("%r is not a plain or dotted name" % expression)
    return [node.id] + names, args, kwargs


def literals(call, expression):
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        kwargs = {word.arg: ast.literal_eval(word.value)
                  for word in call.keywords}
    except ValueError:
        args, kwargs = None, {None: None}
    if None in kwargs:  # also what **mapping is parsed to
        raise NotAnApplication(
            "the arguments in %r are not literals" % expression)
    return args, kwargs


def find(module, names):
    found = import_named(module)
    path = module
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise NotAnApplication("there is no %r in %r" % (name, path)
                                   ) from None
        path += "." + name
    return found


def call_factory(factory, args, kwargs, expression):
    """A TypeError is about the arguments when the factory's body was not
    entered; from inside it is an error like any other."""
    try:
        return factory(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__.tb_next is not None:
            raise
        raise NotAnApplication("%s: %s" % (expression, error)) from error


# What PasteDeploy files may use, NAME=VALUE: --paste-global.
paste_globals = {}


def add_paste_global(text):
    name, equals, value = text.replace("\\=", "\0").partition("=")
    if not equals:
        raise ValueError("paste-global %r is not NAME=VALUE" % text)
    paste_globals[name.replace("\0", "=")] = value.replace("\0", "=")


def find_pasted(uri):
    try:
        from paste.deploy import loadapp
    except ImportError:
        raise NotAnApplication(
            "--paste needs the package PasteDeploy, which is not installed "
            "for %s: pip install PasteDeploy" % sys.executable) from None
    return loadapp(uri, relative_to=os.getcwd(), global_conf=paste_globals)


def find_application(uri):
    if uri.startswith("config:"):
        return find_pasted(uri)
    module, _, expression = uri.partition(":")
    expression = expression or "application"
    names, args, kwargs = parse(expression)
    found = find(module, names)
    if args is not None:
        found = call_factory(found, args, kwargs, expression)
    if found is None:
        raise NotAnApplication("%r gives None, not an application" % uri)
    if not callable(found):
        raise NotAnApplication(
            "%r is no application: %s objects cannot be called"
            % (uri, type(found).__name__))
    return found


def error_page(text):
    """With --reload, when nothing works yet: says why, until it does."""
    page = ("%s\n" % text).encode("utf-8", "backslashreplace")
    kind = "text/plain; charset=utf-8"

    def application(environ, start_response):
        start_response("500 Internal Server Error", [
            ("Content-Type", kind), ("Content-Length", str(len(page)))])
        return [page]

    async def asgi(scope, receive, send):
        await send({"type": "http.response.start", "status": 500,
                    "headers": [(b"content-type", kind.encode())]})
        await send({"type": "http.response.body", "body": page})

    application.asgi = asgi
    return application


def explain(uri):
    """As load(), but always with an application."""
    code, found, details = load(uri)
    if code == 0:
        return 0, found, None
    return code, found, details, error_page("%s\n\n%s" % (found, details))


def parameters(call):
    """How many positional arguments it needs; None when nobody can tell."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return None
    kinds = [p.kind for p in signature.parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return sum(p.default is p.empty and p.kind in (
        p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in signature.parameters.values())


def is_asgi(application):
    """A coroutine function, or an object that is called as one."""
    if inspect.isclass(application):
        return False
    return inspect.iscoroutinefunction(application) or \
        inspect.iscoroutinefunction(getattr(type(application), "__call__",
                                            None))


def is_wsgi(application):
    """It takes environ and start_response, and is no coroutine function."""
    return not is_asgi(application) and parameters(application) == 2


def is_asgi2(application):
    """It takes the scope alone, and returns who takes receive and send."""
    return not is_asgi(application) and parameters(application) == 1


def load(uri):
    """(0, application, None), or (exit code, what failed, details)."""
    try:
        return 0, find_application(uri), None
    except NotAnApplication as error:
        return LOAD_ERROR, "Failed to load the application: %s" % error, ""
    except BaseException as error:  # sys.exit() while importing, too
        return BOOT_ERROR, "Exception in worker process", describe(error)


def warm_up(application, path):
    """What a client's GET would do, before there are clients. Returns "", or
    what was wrong with the answer."""
    import io  # only here: both cost memory that few want to pay
    import urllib.parse
    path, _, query = path.partition("?")
    statuses = []

    def start_response(status, headers, exc_info=None):
        statuses.append(status)
        return lambda data: None

    body = application({
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "QUERY_STRING": query,
        "PATH_INFO": urllib.parse.unquote(path, "latin-1"), "RAW_URI": path,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost", "HTTP_USER_AGENT": "gcorn-warm-up",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True, "wsgi.run_once": False,
        "wsgi.multithread": False, "wsgi.multiprocess": True,
    }, start_response)
    try:
        for _ in body:
            pass
    finally:
        if hasattr(body, "close"):
            body.close()
    if not statuses:
        return "start_response was not called"
    return statuses[-1] if statuses[-1].startswith("5") else ""


def warm_up_checked(application, path):
    try:
        wrong = warm_up(application, path)
        return wrong and "Warm-up: GET %s was answered %s" % (path, wrong), ""
    except BaseException as error:
        return "Warm-up: GET %s failed" % path, describe(error)


def run_threads(count, serve, stop):
    """Returns when all have ended: "", or the traceback of what ended them.

    Signal handlers of the application run meanwhile, here: this is the main
    thread. One that raises ends the interpreter, as it would end Gunicorn's.
    """
    threads, failure = [], None
    try:
        for n in range(count):
            thread = threading.Thread(target=serve, name="gcorn-%d" % n)
            thread.start()
            threads.append(thread)
    except BaseException as error:  # no more threads to be had, or a signal
        failure = error
        stop()
    while threads:
        try:
            threads[-1].join()
            threads.pop()
        except BaseException as error:
            failure = failure or error
            stop()
    if failure is None or isinstance(failure, (SystemExit, KeyboardInterrupt)):
        return ""
    return describe(failure)
