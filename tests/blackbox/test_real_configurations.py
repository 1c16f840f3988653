# SPDX-License-Identifier: MIT
"""Unchanged configurations for Gunicorn (tests/configurations), with gcorn
under the name gunicorn: Django behind nginx as a systemd unit, the entry point
of a Docker image, and prometheus_client in several processes."""

import configparser
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import venv

import pytest

from client import wait_until
from proxies import Nginx
from server import COMMAND, ROOT, Server, free_port
from test_django import SITE, prepare
from test_systemd import Notify, activated, listening_at

pytestmark = pytest.mark.gcorn
CONFIGURATIONS = ROOT / "tests" / "configurations"
PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))


def make_venv(folder):
    """A virtual environment with the tests' packages, and a gunicorn."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python3.*/site-packages"))
    (site / "tests.pth").write_text(PACKAGES + "\n")
    (folder / "bin" / "gunicorn").symlink_to(pathlib.Path(COMMAND[0]).resolve())
    return folder


@pytest.fixture
def root(tmp_path_factory):
    """Instead of /: short, for the names of sockets."""
    folder = pathlib.Path("/tmp/gcorn-root-%d" % os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "run").mkdir(parents=True)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def install(source, target, root):
    """Copies a file of tests/configurations; only directories move."""
    text = (CONFIGURATIONS / source).read_text()
    for path in ("/srv/mysite", "/run/"):
        text = text.replace(path, "%s%s" % (root, path))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(0o755)
    return target


def unit_of(path):
    """Section -> {key: value}, with continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string(text)
    return unit


@pytest.fixture
def site(root):
    """/srv/mysite, as one checks it out."""
    home = root / "srv" / "mysite"
    shutil.copytree(SITE, home, ignore=shutil.ignore_patterns("__pycache__"))
    make_venv(home / "venv")
    (home / "static").mkdir()
    (home / "static" / "site.css").write_text("body {}")
    # Whatever is not https according to the proxy is sent elsewhere.
    with open(home / "mysite" / "settings.py", "a") as settings:
        settings.write("SECURE_SSL_REDIRECT = 'HTTPS' in os.environ\n")
    prepare({"DJANGO_DIR": str(home)})
    return home


def django_installed(root, site):
    install("django/gunicorn.conf.py", site / "gunicorn.conf.py", root)
    return [install("django/gunicorn." + kind,
                    root / "units" / ("gunicorn." + kind), root)
            for kind in ("service", "socket")]


def test_django_as_a_unit_behind_nginx(start, root, site):
    service, listener = map(unit_of, django_installed(root, site))
    notify = Notify(root / "notify")
    path = listener["Socket"]["ListenStream"]
    listening = listening_at(socket.AF_UNIX, path)
    env = dict(re.findall(r'"(\w+)=(.*?)"', service["Service"]["Environment"]))
    server = activated(
        start, [listening], program=shlex.split(
            service["Service"]["ExecStart"]), cwd=site,
        DJANGO_DIR=str(site), HTTPS="yes", NOTIFY_SOCKET=notify.socket.getsockname(),
        VIRTUAL_ENV=None, **env)
    notify.wait("READY=1")
    server.address = path
    assert server.get("/admin/login/").status == 301
    pids = {p.pid for p in server.interpreters()}
    assert "Using worker: gthread" in server.log()
    assert "Server is ready. Spawning workers" in server.log()
    assert server.log().count("Worker spawned (pid: ") == len(pids)
    nginx_site = install("django/nginx.conf", root / "site.conf", root)
    port = free_port()
    nginx_site.write_text(nginx_site.read_text().replace(
        "listen 80", "listen 127.0.0.1:%d" % port))
    with Nginx(root, "", http="include %s;" % nginx_site) as nginx:
        nginx.address = ("127.0.0.1", port)
        assert nginx.get("/static/site.css").body == b"body {}"
        page = nginx.get("/admin/login/", headers=[("User-Agent", "me/1")])
        assert page.status == 200 and b"csrfmiddlewaretoken" in page.body
        server.wait_log(r'127\.0\.0\.1 - - \[.*\] "GET /admin/login/ HTTP/1.0"'
                        r' 200 \d+ "-" "me/1" \d+')
        # ExecReload; new code although it is preloaded.
        urls = site / "mysite" / "urls.py"
        urls.write_text(urls.read_text() + "\nprint('urls, again')\n")
        reload = service["Service"]["ExecReload"].replace(
            "$MAINPID", str(server.pid))
        subprocess.run(shlex.split(reload), check=True)
        wait_until(lambda: not pids & {p.pid for p in server.interpreters()},
                   what="other interpreters")
        assert nginx.get("/admin/login/").status == 200
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Worker exited (pid: " in server.log()
        # The socket is systemd's, and stays.
        assert os.path.exists(path)
    listening.close()
    notify.socket.close()


@pytest.mark.skipif(not shutil.which("systemd-analyze"),
                    reason="no systemd-analyze")
def test_the_unit_is_valid(root, site):
    units = django_installed(root, site)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_entry_point_of_an_image(root, site, tmp_path):
    """The virtual environment is on PATH; arguments from the environment,
    from the file and from CMD."""
    install("docker/gunicorn.conf.py", site / "gunicorn.conf.py", root)
    script = install("docker/entrypoint.sh", root / "entrypoint.sh", root)
    port = free_port()
    with Server(None, "--log-level", "debug", directory=tmp_path, bind="none",
                chdir=None, cwd=site, ready=None, command=[str(script)], env={
            "PATH": "%s/venv/bin:%s" % (site, os.environ["PATH"]),
            "VIRTUAL_ENV": None, "DJANGO_DIR": str(site), "PORT": str(port),
            "GUNICORN_CMD_ARGS": "--workers=2 --threads 3 --access-logformat "
            "'%(m)s %(U)s %(s)s' --capture-output"}) as server:
        server.address = ("127.0.0.1", port)
        wait_until(server.answers)
        assert server.get("/admin/login/").status == 200
        server.wait_log("GET /admin/login/ 200\n")
        log = server.log()
        assert "Applying migrations" in log
        assert '{"loglevel": "info", "workers": 2, "bind":' in log
        assert "Using worker: gthread" in log
        assert len(server.interpreters()) == 2
        # exec: what Docker stops is the server itself.
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_prometheus_in_several_processes(root, tmp_path):
    home = root / "srv" / "mysite"
    for name in ("gunicorn.conf.py", "shop.py"):
        install("prometheus/" + name, home / name, root)
    make_venv(home / "venv")
    port = free_port()
    (tmp_path / "metrics").mkdir()
    with Server(None, "shop", directory=tmp_path, bind="none", chdir=None,
                cwd=home, command=[str(home / "venv/bin/gunicorn")], env={
            "VIRTUAL_ENV": None, "PORT": str(port),
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")},
                ready=None) as server:
        server.address = ("127.0.0.1", port)

        def value(name):
            text = server.get("/metrics").text
            found = re.search(r"^%s (\S+)" % re.escape(name), text, re.M)
            return float(found[1]) if found else 0

        wait_until(server.answers)
        wait_until(lambda: value("shop_alive") == 2)
        before = value('shop_requests_total{path="/buy"}')
        for _ in range(20):
            server.get("/buy")
        assert value('shop_requests_total{path="/buy"}') == before + 20
        victim = server.interpreters()[0].pid
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(server.interpreters()) == 2 and victim not in
                   {p.pid for p in server.interpreters()})
        # It no longer counts as alive, what it counted does.
        wait_until(lambda: value("shop_alive") == 2)
        assert value('shop_requests_total{path="/buy"}') == before + 20
        assert value("shop_busy") == 0
