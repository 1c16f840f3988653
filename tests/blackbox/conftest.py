# SPDX-License-Identifier: MIT
"""Fixtures: servers that are started once for a file, or for one test."""

import pathlib

import pytest

from server import COMMAND, RELEASE, Server, is_gcorn


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "gcorn: asks for more than Gunicorn promises")
    config.addinivalue_line(
        "markers", "release: measures memory, so it wants no sanitizer")


def pytest_collection_modifyitems(items):
    other = pytest.mark.skip(reason="$GCORN is not a gcorn")
    for item in items:
        if item.get_closest_marker("gcorn") and not is_gcorn():
            item.add_marker(other)


def pytest_report_header():
    return "server: " + " ".join(COMMAND)


@pytest.fixture(scope="session", autouse=True)
def command():
    path = pathlib.Path(COMMAND[0])
    if "/" in COMMAND[0] and not path.exists():
        pytest.exit("no server to test: %s" % path, returncode=4)
    return COMMAND


@pytest.fixture
def start(tmp_path):
    """start(app, *args, **kind) -> a running server, stopped at the end."""
    started = []

    def starter(app="probe:app", *args, **kind):
        directory = tmp_path / ("server%d" % len(started))
        directory.mkdir()
        server = Server(app, *args, directory=directory, **kind)
        started.append(server)
        return server.__enter__()

    yield starter
    errors = []
    for server in started:
        try:
            server.stop()
        except AssertionError as error:
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """probe:app on two interpreters, shared by the tests of a file."""
    directory = tmp_path_factory.mktemp("probe")
    with Server("probe:app", "-w", "2", "--threads", "2", "--access-logfile",
                directory / "access.log", directory=directory) as server:
        yield server


@pytest.fixture
def release_command():
    path = pathlib.Path(RELEASE[0])
    if not path.exists():
        if is_gcorn() and b"__asan_init" not in pathlib.Path(
                COMMAND[0]).read_bytes():
            return COMMAND
        pytest.fail("no release build at %s" % path)
    return RELEASE


@pytest.fixture
def go(tmp_path):
    """A file whose creation tells /hold and /lazy to go on."""
    return tmp_path / "go"


