# SPDX-License-Identifier: MIT
"""Where io_uring is forbidden, and with the profile that is shipped."""

import ctypes
import errno
import os
import resource
import subprocess
import sys

import pytest

import seccomp
from server import ROOT, Server

pytestmark = pytest.mark.gcorn
URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")
NEW_MOUNTS = 0x20000
BIND, PRIVATE = 0x1000, 0x44000  # MS_REC | MS_PRIVATE
PROFILE = ROOT / "tools" / "deploy" / "seccomp-gcorn.json"


def disabled(path):
    """For a process to come: refused as by kernel.io_uring_disabled = 2. A
    file is laid over the sysctl where only it sees that: the real one is for
    the whole machine."""
    libc = ctypes.CDLL(None, use_errno=True)
    path.write_text("2\n")
    refuse = seccomp.enter(seccomp.forbidding(URING, errno.EPERM))

    def enter():
        sysctl = b"/proc/sys/kernel/io_uring_disabled"
        if (libc.unshare(NEW_MOUNTS)
                or libc.mount(b"none", b"/", None, PRIVATE, None)
                or libc.mount(bytes(path), sysctl, None, BIND, None)):
            raise OSError(ctypes.get_errno(), "cannot mount")
        refuse()
    return enter


def serves(server):
    with server.connect() as connection:
        for _ in range(20):
            assert connection.request("/").body == b"hello"
        assert connection.request(
            "/echo", "POST", body=b"b" * 300000).body == b"b" * 300000


@pytest.mark.parametrize("error, words", [
    (errno.EPERM, "io_uring is forbidden, most likely by the container's "
                  "seccomp profile"),
    (errno.ENOSYS, "io_uring is not there: the kernel has none, or a seccomp "
                   "profile hides it")])
def test_forbidden_in_the_usual_ways(start, error, words):
    """As by Docker and as by Podman. It serves, and says once why not so."""
    server = start("probe:app", "-w", "3",
                   rlimit=seccomp.enter(seccomp.forbidding(URING, error)))
    serves(server)
    assert server.log().count("Using epoll: " + words) == 1
    assert server.log().count("Using epoll") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root mounts")
def test_forbidden_by_the_administrator(start, tmp_path):
    enter = disabled(tmp_path / "sysctl")
    try:
        subprocess.run(["true"], preexec_fn=enter, check=True)
    except subprocess.SubprocessError:
        pytest.skip("SKIPPED: no sysctl to lay a file over")
    server = start("probe:app", "-w", "2", rlimit=enter)
    serves(server)
    assert server.log().count("Using epoll: io_uring is forbidden: "
                              "kernel.io_uring_disabled is 2") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root becomes "
                    "somebody whose locked memory counts")
def test_no_memory_to_lock(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))

    server = start("probe:app", "-w", "2", "--user", "nobody", rlimit=limit)
    serves(server)
    # Kernels that do not count rings (5.12 to 6.13) have nothing to refuse.
    assert ("Using epoll" not in server.log() or server.log().count(
        "Using epoll: RLIMIT_MEMLOCK (0 KiB) is too small") == 1)


def test_asked_for_but_forbidden(tmp_path):
    filter = seccomp.forbidding(URING, errno.EPERM)
    server = Server("probe:app", "--io", "uring", directory=tmp_path,
                    ready=None, rlimit=seccomp.enter(filter))
    server.start()
    try:
        server.wait_log("Worker cannot do I/O: io_uring is forbidden")
    finally:
        server.kill()


def test_the_profile_is_enough_for_gcorn(start, tmp_path):
    server = start("probe:app", "-w", "2", "--io", "uring", "--static-map",
                   "/s=%s" % tmp_path, "--pid", tmp_path / "pid",
                   rlimit=seccomp.enter(seccomp.of_profile(PROFILE)))
    (tmp_path / "file").write_bytes(b"f" * 300000)
    assert server.get("/").body == b"hello"
    assert server.get("/s/file").body == b"f" * 300000
    assert server.get("/echo", "POST", body=b"b" * 2000000).body == (
        b"b" * 2000000)
    assert "Using epoll" not in server.log()


def test_the_profile_refuses_what_it_should(tmp_path):
    """As the tests' Python sees it; asked by numbers, so that nothing else
    than the profile can say no."""
    known = seccomp.numbers()
    script = tmp_path / "ask.py"
    script.write_text(
        "import ctypes, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for number in sys.argv[1:]:\n"
        "    ctypes.set_errno(0)\n"
        "    got = libc.syscall(*map(int, number.split(',')))\n"
        "    print(ctypes.get_errno() if got < 0 else 0)\n")
    new_user = 0x10000000
    asked = {"unshare,%d" % new_user: errno.EPERM, "keyctl,0": errno.EPERM,
             "mount,0,0,0,0,0": errno.EPERM, "bpf,0,0,0": errno.EPERM,
             "ptrace,0,0,0,0": errno.EPERM,
             "clone,%d,0,0,0,0" % (new_user | 17): errno.ENOSYS,
             "clone3,0,0": errno.ENOSYS, "socket,40,1,0": errno.ENOSYS,
             "personality,%d" % 0xffffffff: 0, "getpid": 0,
             "openat2,-1,0,0,0": errno.EINVAL}
    arguments = [",".join([str(known[name.split(",")[0]]),
                           *name.split(",")[1:]]) for name in asked]
    done = subprocess.run(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE,
        preexec_fn=seccomp.enter(seccomp.of_profile(PROFILE)), check=True,
        timeout=30)
    assert ctypes.sizeof(ctypes.c_long) == 8
    assert [int(n) for n in done.stdout.split()] == list(asked.values())
