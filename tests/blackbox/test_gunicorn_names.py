# SPDX-License-Identifier: MIT
"""Configuration files and applications that import gunicorn.*, and the
packages that hooks are mostly written for."""

import glob
import os
import pathlib
import re
import signal
import sys
import venv

import pytest

from client import wait_until
from server import COMMAND
from test_settings import run

SITE = next(path for path in sys.path if path.endswith("site-packages"))


def other_python():
    """One that this gcorn has a host for, beside the tests' own."""
    gcorn = pathlib.Path(COMMAND[0]).resolve()
    hosts = glob.glob(str(gcorn.parent.parent / "python" / "gcorn-python3.*"))
    for host in sorted(hosts, reverse=True):
        version = host.rpartition("gcorn-python")[2]
        if version == "%d.%d" % sys.version_info[:2] or "." not in version:
            continue
        found = glob.glob(os.path.expanduser(
            "~/.pyenv/versions/%s.*/bin/python3" % version))
        if found:
            return found[0]
    return None


OTHER = other_python()


@pytest.fixture(scope="module", params=["own"] + ["other"] * bool(OTHER))
def python(request, tmp_path_factory):
    """Flags for a Python that has no Gunicorn."""
    folder = tmp_path_factory.mktemp("bare")
    if request.param == "other":
        return ("--python", OTHER)
    venv.create(folder, with_pip=False, symlinks=True)
    return ("--python", folder / "bin" / "python3")


def serve(start, tmp_path, python, conf, app, *args, **env):
    (tmp_path / "conf.py").write_text(conf)
    (tmp_path / "site_.py").write_text(app)
    return start("site_:app", "-c", "conf.py", "-w", "1", *python, *args,
                 cwd=tmp_path, chdir=None, env=env)


PLAIN = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


def test_usual_imports(start, tmp_path, python):
    server = serve(start, tmp_path, python, """
import gunicorn
from gunicorn import glogging, util
from gunicorn.glogging import Logger, CONFIG_DEFAULTS
from gunicorn.config import Config
from gunicorn.arbiter import Arbiter
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker
import gunicorn.workers.base
import gunicorn.http.wsgi
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.errors import HaltServer
from gunicorn.instrument.statsd import Statsd
from gunicorn.workers.ggevent import GeventPyWSGIWorker, GeventWorker
from gunicorn.workers.gtornado import TornadoWorker
assert util.is_ipv6("::1") and util.to_bytestring("a") == b"a"
assert gunicorn.__version__ and util.http_date()
assert Logger.__module__ == "gunicorn.glogging"
worker_class = ThreadWorker
try:
    import gunicorn.nothing
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("found")
""", PLAIN)
    assert server.get("/").text == "hello"
    assert "Using worker: gthread" in server.log()


def test_a_logger_of_ones_own(start, tmp_path, python):
    server = serve(start, tmp_path, python, """
from gunicorn.glogging import Logger
class Mine(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.error_log.addFilter(self.mark)
    def mark(self, record):
        record.msg = "<mine> " + record.msg
        return True
logger_class = Mine
def when_ready(server):
    server.log.info("ready at %s", server.address)
def post_fork(server, worker):
    worker.log.warning("forked %s", worker.pid)
""", PLAIN)
    server.wait_log(r"\[INFO\] <mine> ready at \[\('127.0.0.1'")
    server.wait_log(r"\[WARNING\] <mine> forked %d"
                    % server.interpreters()[0].pid)


ACCESS = """
from gunicorn.glogging import Logger
class Mine(Logger):
    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["mine"] = environ["HTTP_X_MINE"] if "HTTP_X_MINE" in environ \\
            else "-"
        return atoms
accesslog = %r
access_log_format = "%%(m)s %%(U)s %%(s)s %%(B)s mine=%%(mine)s %%({x-a}o)s"
logger_class = Mine
"""
ACCESS_APP = """
def app(environ, start_response):
    start_response("200 OK", [("X-A", "yes")])
    return [b"hello"]
"""


@pytest.mark.parametrize("real", [False, True])
def test_the_access_log_of_a_logger(start, tmp_path, python, real):
    log = tmp_path / "access.log"
    server = serve(start, tmp_path, () if real else python, ACCESS % str(log),
                   ACCESS_APP, **({"PYTHONPATH": SITE} if real else {}))
    server.get("/page?x=1", headers=[("X-Mine", "here")])
    wait_until(lambda: "GET /page 200 5 mine=here yes\n" in log.read_text())
    # Once: the worker does not write it as well.
    assert log.read_text().count("/page") == 1


def test_logconfig_dict(start, tmp_path, python):
    log = tmp_path / "json.log"
    server = serve(start, tmp_path, python, """
logconfig_dict = {
    "formatters": {"json": {"format": '{"said": "%%(message)s"}'}},
    "handlers": {"file": {"class": "logging.FileHandler", "formatter": "json",
                          "filename": %r}},
    "root": {"level": "INFO", "handlers": []},
    "loggers": {"gunicorn.access": {"level": "INFO", "handlers": ["file"],
                                    "propagate": False}},
}
access_log_format = "%%(m)s %%(U)s"
""" % str(log), PLAIN)
    server.get("/page")
    wait_until(lambda: '{"said": "GET /page"}\n' in log.read_text())


def test_the_real_logger(start, tmp_path):
    """Where Gunicorn is installed its own class is found, and served."""
    pytest.importorskip("gunicorn")
    server = serve(start, tmp_path, (), """
from gunicorn.glogging import Logger
import gunicorn.arbiter
assert gunicorn.arbiter.__file__
class Mine(Logger):
    def info(self, message, *args, **kwargs):
        super().info("<mine> " + message, *args, **kwargs)
logger_class = Mine
def when_ready(server):
    server.log.info("ready with %s", server.cfg.worker_class_str)
""", PLAIN)
    server.wait_log(r"\[INFO\] <mine> ready with sync")
    assert server.get("/").text == "hello"


STANDALONE = """
from gunicorn.app.base import BaseApplication

class StandaloneApplication(BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()
    def load_config(self):
        config = {key: value for key, value in self.options.items()
                  if key in self.cfg.settings and value is not None}
        for key, value in config.items():
            self.cfg.set(key.lower(), value)
    def load(self):
        return self.application
""" + PLAIN


def test_a_standalone_application(start, tmp_path, python):
    """Its module is served; run() says how."""
    app = STANDALONE + """
standalone = StandaloneApplication(app, {"bind": ["127.0.0.1:1", "[::1]:2"],
                                         "workers": 3, "accesslog": "-",
                                         "preload_app": True, "unknown": 1})
if __name__ == "__main__":
    standalone.run()
"""
    server = serve(start, tmp_path, python, "", app)
    assert server.get("/").text == "hello"
    (tmp_path / "site_.py").write_text(app.replace(
        'if __name__ == "__main__"', "if True"))
    code, text = run("--check-config", "site_:app", *python, cwd=tmp_path)
    assert code == 1
    assert "gcorn --bind 127.0.0.1:1 --bind '[::1]:2' --workers 3 " in text
    assert "--preload --access-logfile - MODULE:APPLICATION" in text


PROMETHEUS = """
from prometheus_client import (CollectorRegistry, Counter, Gauge,
                               generate_latest, multiprocess)
REQUESTS = Counter("requests", "all requests")
ALIVE = Gauge("alive", "interpreters", multiprocess_mode="livesum")
ALIVE.set(1)
def app(environ, start_response):
    REQUESTS.inc()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    body = generate_latest(registry)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_prometheus_multiprocess(start, tmp_path, python):
    pytest.importorskip("prometheus_client")
    folder = tmp_path / "metrics"
    folder.mkdir()
    server = serve(start, tmp_path, python, """
from prometheus_client import multiprocess
def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
""", PROMETHEUS, PYTHONPATH=SITE,
                   PROMETHEUS_MULTIPROC_DIR=str(folder))
    assert "alive 1.0" in server.get("/").text
    for _ in range(2):
        old = server.interpreters()[0].pid
        live = folder / ("gauge_livesum_%d.db" % old)
        assert live.exists()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: not live.exists())
        wait_until(server.answers)
    text = server.get("/").text
    assert "alive 1.0" in text
    # Counters of the dead still count.
    assert float(re.search(r"^requests_total ([\d.]+)", text, re.M)[1]) >= 4


OTEL = """
from opentelemetry import trace
tracer = trace.get_tracer(__name__)
def app(environ, start_response):
    import os
    with tracer.start_as_current_span("page") as span:
        start_response("200 OK", [("Content-Type", "text/plain")])
        pid = span.resource.attributes["worker"]
        return [("%s %s" % (pid == os.getpid(), span.is_recording())).encode()]
"""


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_opentelemetry_after_the_fork(start, tmp_path, python, args):
    pytest.importorskip("opentelemetry.sdk")
    server = serve(start, tmp_path, python, """
def post_fork(server, worker):
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (BatchSpanProcessor,
                                                ConsoleSpanExporter)
    provider = TracerProvider(
        resource=Resource.create(attributes={"worker": worker.pid}))
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(
        formatter=lambda span: "span %s\\\\n" % span.name)))
    trace.set_tracer_provider(provider)
""", OTEL, *args, PYTHONPATH=SITE)
    assert server.get("/").text == "True True"
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    # Flushed at exit by the provider's atexit function.
    assert "span page" in server.log()
