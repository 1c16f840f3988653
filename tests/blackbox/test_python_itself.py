# SPDX-License-Identifier: MIT
"""The host runs inside the user's own python where that is possible."""

import os
import pathlib
import shutil
import sys

import pytest

pytestmark = [pytest.mark.gcorn, pytest.mark.release]


def check(facts):
    assert facts["prefix"] == sys.prefix
    assert facts["argv"] == ["gcorn"]
    assert facts["child"] == 0
    assert facts["version"] == sys.version
    assert facts["sum"] == "0.3"
    assert facts["sqlite"] == [42]
    assert facts["psycopg"] in ("binary", "c")


def facts_of(start, command, **more):
    server = start("itself:app", command=command, **more)
    return server.get("/").json


def test_it_is_the_python_of_the_environment(start, release_command):
    facts = facts_of(start, release_command)
    check(facts)
    assert facts["file"] == os.path.realpath(sys.executable)
    assert facts["preload"] is None


def test_what_users_preload_stays(start, release_command):
    facts = facts_of(start, release_command, env={"LD_PRELOAD": "libm.so.6"})
    check(facts)
    assert facts["file"] == os.path.realpath(sys.executable)
    assert facts["preload"] == "libm.so.6"


def moved(command, place):
    """A copy of what is built, at another place."""
    build = pathlib.Path(command[0]).parents[1]
    version = "python%d.%d" % sys.version_info[:2]
    for name in ("workers/gcorn", "python/gcorn-" + version,
                 "python/libgcorn-%s.so" % version):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(build / name, place / name)
    return [str(place / "workers" / "gcorn"), *command[1:]]


@pytest.mark.parametrize("name", ["a path", "a:path"])
def test_a_path_that_the_loader_cannot_take(start, release_command, tmp_path,
                                            name):
    """The list of what is preloaded has no way to quote these."""
    place = tmp_path / name
    facts = facts_of(start, moved(release_command, place))
    check(facts)
    assert facts["file"].startswith(str(place))


def test_a_library_that_does_not_load(start, release_command, tmp_path):
    command = moved(release_command, tmp_path)
    library = next(tmp_path.glob("python/lib*"))
    library.write_bytes(library.read_bytes()[:4096])
    facts = facts_of(start, command)
    check(facts)
    assert facts["file"].startswith(str(tmp_path))
