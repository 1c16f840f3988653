# SPDX-License-Identifier: MIT
"""A PostgreSQL of the tests' own, on a Unix socket, where there is one
installed; or the one that DATABASE_URL names."""

import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile


def programs():
    """The directory of initdb and postgres, or None."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    path = found[-1] if found else shutil.which("initdb")
    return pathlib.Path(path).parent if path else None


def its_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


@contextlib.contextmanager
def cluster():
    """Yields a DATABASE_URL, or None when none can be had."""
    given = os.environ.get("DATABASE_URL")
    where, user = programs(), its_user()
    if given or not where or not user:
        yield given
        return
    base = tempfile.mkdtemp(prefix="pg-", dir="/tmp")
    identity = {"user": user.pw_uid, "group": user.pw_gid} \
        if os.geteuid() == 0 else {}
    if identity:
        os.chown(base, user.pw_uid, user.pw_gid)
    data = os.path.join(base, "data")
    server = None
    try:
        subprocess.run([where / "initdb", "-D", data, "-A", "trust", "-U",
                        "tests", "--no-sync", "-E", "UTF8"], check=True,
                       cwd=base, stdout=subprocess.DEVNULL, **identity)
        with open(os.path.join(base, "log"), "wb") as log:
            server = subprocess.Popen(
                [where / "postgres", "-D", data, "-k", base, "-h", "",
                 "-F"], cwd=base, stdout=log, stderr=log, **identity)
        os.chmod(base, 0o755)
        wait_for(where, base)
        yield "postgres://tests@/postgres?host=" + base
    finally:
        if server:
            server.terminate()
            server.wait(30)
        shutil.rmtree(base, ignore_errors=True)


def wait_for(where, base):
    for _ in range(100):
        done = subprocess.run([where / "pg_isready", "-q", "-h", base,
                               "-t", "1"])
        if done.returncode == 0:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "0.1"], timeout=1)
    raise AssertionError(pathlib.Path(base, "log").read_text())
