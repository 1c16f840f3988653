# SPDX-License-Identifier: MIT
"""Where io_uring is forbidden, and with the profile that is shipped."""

import errno

import pytest

import seccomp
from server import ROOT, Server

pytestmark = pytest.mark.gcorn
URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")
PROFILE = ROOT / "tools" / "deploy" / "seccomp-gcorn.json"


@pytest.mark.parametrize("error, words", [
    (errno.EPERM, "io_uring is forbidden, most likely by the container's "
                  "seccomp profile"),
    (errno.ENOSYS, "io_uring is not there: the kernel has none, or a seccomp "
                   "profile hides it")])
def test_forbidden_in_the_usual_ways(start, error, words):
    """As by Docker and as by Podman. It serves, and says once why not so."""
    server = start("probe:app", "-w", "3",
                   rlimit=seccomp.enter(seccomp.forbidding(URING, error)))
    with server.connect() as connection:
        for _ in range(20):
            assert connection.request("/").body == b"hello"
        assert connection.request(
            "/echo", "POST", body=b"b" * 300000).body == b"b" * 300000
    assert server.log().count("Using epoll: " + words) == 1
    assert server.log().count("Using epoll") == 1


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
    import ctypes
    import subprocess
    import sys
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
