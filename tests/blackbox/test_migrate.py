# SPDX-License-Identifier: MIT
"""--from-uwsgi and --from-unit: files as they are found in the wild."""

import json
import re
import shlex

import pytest

from test_real_configurations import (CONFIGURATIONS, install, make_venv,
                                      root)  # noqa: F401: a fixture
from test_settings import run

pytestmark = pytest.mark.gcorn

DJANGO = """
# mysite_uwsgi.ini
[uwsgi]
chdir           = /srv/mysite
module          = mysite.wsgi:application
home            = /srv/venv
master          = true
processes       = 10
threads = 2
enable-threads = true
socket          = /run/mysite.sock
chmod-socket    = 664
vacuum          = true
harakiri = 60
harakiri-verbose = true
max-requests = 5000
max-requests-delta = 500
buffer-size = 32768
post-buffering = 4096
uid = www-data
gid = www-data
die-on-term = true
lazy-apps = true
disable-logging = true
thunder-lock = true
env = DJANGO_SETTINGS_MODULE=mysite.settings
env = GREETING=it's me
cheaper = 2
cron = 0 0 -1 -1 -1 /srv/cleanup.sh
static-map = /static=/srv/static
made-up-option = 7
[other]
processes = 99
"""

FLASK = """
[uwsgi]
http-socket = :5000
wsgi-file = /app/run.py
callable = app
py-autoreload = 1
need-app
; nothing about lazy-apps or logging
processes = 1
"""

UNIT = {
    "listeners": {
        "*:8080": {"pass": "routes"},
        "unix:/run/app.sock": {"pass": "applications/site",
                               "tls": {"certificate": "bundle"}},
    },
    "routes": [{"match": {"uri": "/static/*"}, "action": {"share": "/srv"}}],
    "applications": {"site": {
        "type": "python 3.12", "processes": {"max": 8, "spare": 2},
        "threads": 4, "path": ["/srv/site", "/srv/lib"],
        "home": "/srv/venv", "module": "site.wsgi", "callable": "app",
        "working_directory": "/srv", "user": "www-data",
        "environment": {"A": "two words"},
        "limits": {"timeout": 10, "requests": 1000}, "prefix": "/mounted",
        "protocol": "wsgi"}},
    "settings": {"http": {"idle_timeout": 180, "max_body_size": 8388608}},
    "access_log": "/var/log/access.log",
}


def convert(tmp_path, flag, text):
    """The words of the command, and the line of each option."""
    path = tmp_path / "file"
    path.write_text(text)
    code, said = run(flag, path)
    assert code == 0, said
    command, _, rest = said.partition("\n\n")
    return shlex.split(command.replace("\\\n", "")), [
        line[2:] for line in rest.splitlines()]


def pairs(words):
    return [" ".join(words[i:i + 2]) for i in range(len(words) - 1)]


def test_django(tmp_path):
    words, lines = convert(tmp_path, "--from-uwsgi", DJANGO)
    assert words[:2] == ["gcorn", "mysite.wsgi:application"]
    for expected in (
            "--chdir /srv/mysite", "--python /srv/venv/bin/python3",
            "--workers 10", "--threads 2", "--bind uwsgi:unix:/run/mysite.sock",
            "--umask 0113", "--timeout 60", "--max-requests 5000",
            "--max-requests-jitter 500", "--limit-request-field_size 32768",
            "--user www-data", "--group www-data", "--env GREETING=it's me",
            "--static-map /static=/srv/static"):
        assert expected in pairs(words)
    assert "--preload" not in words and "--access-logfile" not in words
    found = dict(line.split(" = ", 1) for line in lines)
    assert "not needed" in found["master"] and "not needed" in found["vacuum"]
    assert "no equivalent: the number of workers" in found["cheaper"]
    assert "no equivalent: use a systemd timer" in found["cron"]
    assert "no equivalent: gcorn does not know" in found["made-up-option"]
    # A line for each option, each with one of the three words.
    section = DJANGO[:DJANGO.index("[other]")].splitlines()
    assert len(lines) == sum("=" in line for line in section)
    assert all(any(word in line for word in (
        "mapped:", "not needed:", "no equivalent:")) for line in lines)


def test_flask(tmp_path):
    words, _ = convert(tmp_path, "--from-uwsgi", FLASK)
    assert words[:2] == ["gcorn", "run:app"]
    for expected in ("--bind 0.0.0.0:5000", "--pythonpath /app",
                     "--workers 1", "--access-logfile -"):
        assert expected in pairs(words)
    assert "--reload" in words and "--preload" in words


def test_unit(tmp_path):
    words, lines = convert(tmp_path, "--from-unit", json.dumps(UNIT))
    assert words[:2] == ["gcorn", "site.wsgi:app"]
    for expected in (
            "--bind 0.0.0.0:8080", "--bind unix:/run/app.sock", "--workers 8",
            "--threads 4", "--pythonpath /srv/site,/srv/lib",
            "--python /srv/venv/bin/python3", "--chdir /srv",
            "--user www-data", "--env A=two words", "--timeout 10",
            "--max-requests 1000", "--keep-alive 180",
            "--limit-request-body 8388608",
            "--access-logfile /var/log/access.log"):
        assert expected in pairs(words)
    text = "\n".join(lines)
    for expected in ("tls ", "routes ", "processes.spare = 2"):
        assert expected in text
    assert "--env SCRIPT_NAME=/mounted" in pairs(words)


def test_what_it_prints_is_understood(tmp_path):
    """By gcorn itself: flags that it does not have would be found."""
    for flag, text in (("--from-uwsgi", FLASK), ("--from-uwsgi", DJANGO),
                       ("--from-unit", json.dumps(UNIT))):
        words, _ = convert(tmp_path, flag, text)
        words = [re.sub(r"/(srv|app)[^,]*", str(tmp_path), word)
                 for word in words]
        code, said = run(*words[1:], "--help")
        assert code == 0, said


MODULES = {
    "wsgi.py": """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
application = app
def create_app():
    return app
""",
    "asgi.py": "async def app(scope, receive, send): pass\n",
    "mysite/__init__.py": "", "mysite/wsgi.py": "from wsgi import application",
    "lib/__init__.py": "", "static/site.css": "",
}


@pytest.mark.parametrize("path", sorted(
    CONFIGURATIONS.glob("u*/*")), ids=lambda path: path.name)
def test_what_it_prints_starts(root, path):
    """Files as they are found in the wild, in a place where what they name
    is: gcorn --check-config takes the command."""
    home = root / "srv" / "mysite"
    for name, text in MODULES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    make_venv(home / "venv")
    file = install(path.relative_to(CONFIGURATIONS), root / path.name, root)
    if path.suffix == ".ini":  # a directory that is no longer /srv
        file.write_text(file.read_text().replace(
            "base = /srv\n", "base = %s/srv\n" % root))
    flag = "--from-uwsgi" if path.suffix == ".ini" else "--from-unit"
    code, said = run(flag, file, env={"PORT": "8000"})
    assert code == 0, said
    command, _, lines = said.partition("\n\n")
    for line in lines.splitlines():
        assert re.search(" (mapped|not needed|no equivalent): ", line), line
        assert "does not know" not in line
    words = shlex.split(command.replace("\\\n", ""))
    assert words[0] == "gcorn" and "%(" not in command and "$(" not in command
    code, said = run(*words[1:], "--check-config", cwd="/")
    assert code == 0, command + said


@pytest.mark.parametrize("flag, text", [
    ("--from-uwsgi", ""), ("--from-uwsgi", "processes = 4"),
    ("--from-uwsgi", "\0\xff[uwsgi"), ("--from-unit", "{"),
    ("--from-unit", "[]"), ("--from-unit", "{\"listeners\": {}}"),
    ("--from-unit", "{\"listeners\": {}, \"applications\": {\"a\": 1}}")])
def test_nonsense(tmp_path, flag, text):
    path = tmp_path / "file"
    path.write_text(text)
    code, said = run(flag, path)
    assert code == 1
    assert "Error: " in said


def test_usage(tmp_path):
    assert run("--from-uwsgi")[0] == 2
    code, said = run("--from-unit", tmp_path / "nothing")
    assert code == 1 and "can't read" in said
