# SPDX-License-Identifier: MIT
"""An unchanged Django 5.2 project: gcorn -w 2 mysite.wsgi, on SQLite and on
PostgreSQL, with the admin's login and an upload of 100 MB."""

import hashlib
import os
import re
import subprocess
import sys
import urllib.parse

import pytest

pytest.importorskip("django")

import postgres  # noqa: E402
from client import request_bytes  # noqa: E402
from load import Load  # noqa: E402
from server import APPS, Server  # noqa: E402

SITE = APPS / "djangosite"
MB = 1 << 20


@pytest.fixture(scope="module")
def database():
    with postgres.cluster() as url:
        yield url


def prepare(env):
    """Migrations and a superuser, as one does before a deployment."""
    env = dict(os.environ, **env, DJANGO_SUPERUSER_PASSWORD="secret-of-tests")
    for command in (["migrate", "-v0"],
                    ["createsuperuser", "--noinput", "--username", "root",
                     "--email", "root@example.org"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=SITE,
                       env=env, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("django")
    env = {"DJANGO_DIR": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
        if not url:
            pytest.skip("no PostgreSQL here and no DATABASE_URL")
        env["DATABASE_URL"] = url
    prepare(env)
    with Server("mysite.wsgi", "-w", "2", directory=directory, chdir=SITE,
                env=env) as server:
        server.vendor = request.param
        yield server


def cookies_of(response):
    return dict(value.split(";")[0].split("=", 1)
                for value in response.all("set-cookie"))


class Browser:
    """Keeps cookies."""

    def __init__(self, server):
        self.server = server
        self.cookies = {}

    def get(self, target, method="GET", headers=(), **kind):
        headers = list(headers)
        if self.cookies:
            headers.append(("Cookie", "; ".join(
                "%s=%s" % pair for pair in self.cookies.items())))
        response = self.server.get(target, method, headers=headers, **kind)
        self.cookies.update(cookies_of(response))
        return response

    def login(self, password):
        page = self.get("/admin/login/?next=/admin/")
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"',
                          page.text)[1]
        form = urllib.parse.urlencode({
            "csrfmiddlewaretoken": token, "username": "root",
            "password": password, "next": "/admin/"})
        return self.get("/admin/login/?next=/admin/", "POST",
                        body=form.encode(), headers=[
                            ("Content-Type",
                             "application/x-www-form-urlencoded"),
                            ("Referer", "http://test/admin/login/")])


def test_database(site):
    response = site.get("/")
    assert response.status == 200
    assert "in %s, AnonymousUser" % site.vendor in response.text


def test_admin_login(site):
    browser = Browser(site)
    assert browser.get("/admin/").status == 302
    response = browser.login("secret-of-tests")
    assert response.status == 302, response.text
    assert response.get("location") == "/admin/"
    page = browser.get("/admin/")
    assert page.status == 200
    assert "Site administration" in page.text
    assert "root" in browser.get("/").text


def test_admin_wrong_password(site):
    browser = Browser(site)
    response = browser.login("wrong")
    assert response.status == 200
    assert "correct" in response.text
    assert browser.get("/admin/").status == 302


def test_csrf_protects(site):
    response = site.get("/admin/login/", "POST", body=b"username=x")
    assert response.status == 403


def multipart_ends(boundary=b"the-boundary"):
    start = (b"--" + boundary + b"\r\nContent-Disposition: form-data; "
             b"name=\"file\"; filename=\"big.bin\"\r\n"
             b"Content-Type: application/octet-stream\r\n\r\n")
    return start, b"\r\n--" + boundary + b"--\r\n"


@pytest.mark.parametrize("megabytes", [0, 1, 100])
def test_upload_and_download(site, megabytes):
    block = bytes(range(256)) * 4096
    start, end = multipart_ends()
    size = megabytes * MB
    digest = hashlib.sha256()
    with site.connect(timeout=150) as client:
        client.send(request_bytes("/upload/", "POST", headers=[
            ("Content-Type", "multipart/form-data; boundary=the-boundary"),
            ("Content-Length", str(len(start) + size + len(end)))]) + start)
        for _ in range(megabytes):
            client.send(block)
            digest.update(block)
        client.send(end)
        answer = client.response().json
    assert answer["size"] == size
    assert answer["sha256"] == digest.hexdigest()
    with site.connect(timeout=150) as client:
        response = client.request("/download/%d/" % answer["id"])
    assert response.status == 200
    assert hashlib.sha256(response.body).hexdigest() == answer["sha256"]


def test_stream(site):
    assert len(site.get("/stream/").text.splitlines()) == 1000


def test_errors(site):
    assert site.get("/nowhere/").status == 404
    assert site.get("/boom/").status == 500
    site.wait_log("a Django view raises on purpose")
    assert site.get("/admin").status == 301


def test_load(site):
    with Load(site, connections=8) as load:
        load.more(500)
    load.all_good()
