# SPDX-License-Identifier: MIT
"""Starts a gcorn and looks after it: its processes, its logs, its end.

The command is $GCORN, by default build/debug/workers/gcorn of this tree. It
may be another server with Gunicorn's command line: the tests describe the
standard, and those that ask for more are marked `gcorn`.
"""

import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time

import client
import load

ROOT = pathlib.Path(__file__).resolve().parents[2]
APPS = ROOT / "tests" / "apps"
COMMAND = shlex.split(os.environ.get("GCORN", "")) or [
    str(ROOT / "build" / "debug" / "workers" / "gcorn")]
RELEASE = shlex.split(os.environ.get("GCORN_RELEASE", "")) or [
    str(ROOT / "build" / "release" / "workers" / "gcorn")]
# A sanitizer's report, or one of our own asserts.
REPORTS = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|"
                     r"runtime error:|must\(|SUMMARY: )")
SANITIZERS = {
    # CPython keeps much until the end of the process: leaks of the C side are
    # looked for by the unit tests.
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:disable_coredump=1:"
                    "handle_segv=0:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:abort_on_error=1",
}


def is_gcorn(command=None):
    return "gcorn" in os.path.basename((command or COMMAND)[0])


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, 0))
        return sock.getsockname()[1]


class Process:
    """What /proc says about one process; dead ones say nothing."""

    def __init__(self, pid):
        self.pid = pid

    def read(self, name):
        try:
            return pathlib.Path("/proc/%d/%s" % (self.pid, name)).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    @property
    def stat(self):
        return self.read("stat").rpartition(")")[2].split()

    def lives_in(self, session):
        """Whether it is no zombie, and of the session with this leader."""
        stat = self.stat
        return bool(stat) and stat[0] not in "ZX" and int(stat[3]) == session

    @property
    def title(self):
        return self.read("cmdline").replace("\0", " ").strip()

    @property
    def program(self):
        try:
            return os.path.basename(os.readlink("/proc/%d/exe" % self.pid))
        except OSError:
            return ""

    @property
    def is_host(self):
        """Template or interpreter: a program of gcorn's, or python itself
        with gcorn's library in it, which then calls itself the same."""
        return re.match(r"(\S*/)?gcorn-python|gcorn: (templ|interp)",
                        self.title) is not None

    def memory(self, *keys):
        """Bytes, summed over the keys of smaps_rollup."""
        text = self.read("smaps_rollup")
        return sum(int(n) * 1024 for key in keys
                   for n in re.findall(r"^%s:\s+(\d+) kB" % key, text, re.M))

    def __repr__(self):
        return "<%d %s %r>" % (self.pid, self.program, self.title)


def session_of(leader):
    """Processes of the session that this pid leads."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [p for p in map(Process, pids) if p.lives_in(leader)]


class Server:
    """with Server("probe:app", "-w", "2") as server: server.get("/")"""

    def __init__(self, app="probe:app", *args, directory, bind=None,
                 env=None, cwd=None, chdir=APPS, ready="/", command=None,
                 pass_fds=(), rlimit=None):
        self.directory = pathlib.Path(directory)
        self.command = command or COMMAND
        self.ready = ready
        self.error_log = self.directory / "error.log"
        self.output = self.directory / "output.log"
        self.access_log = self.directory / "access.log"
        self.trace_file = self.directory / "trace"
        self.bind = bind or "127.0.0.1:%d" % free_port()
        self.address = self.address_of(self.bind)
        self.args = list(self.command)
        if self.bind != "none":
            self.args += ["-b", self.bind]
        if chdir:
            self.args += ["--chdir", str(chdir)]
        self.args += [str(arg) for arg in args]
        if app:
            self.args.append(app)
        self.env = self.environment(env)
        self.cwd = cwd or self.directory
        self.pass_fds = pass_fds
        self.rlimit = rlimit
        self.process = None
        self.expect_reports = False

    @staticmethod
    def address_of(bind):
        if bind.startswith("unix:"):
            return bind[5:]
        host, _, port = bind.rpartition(":")
        return (host.strip("[]"), int(port)) if port.isdigit() else None

    def environment(self, more):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith(("GUNICORN", "PYTEST", "DJANGO"))
               and key not in ("PORT", "WEB_CONCURRENCY", "PYTHONPATH")}
        for key, value in SANITIZERS.items():
            env[key] = value
        # The tests' own virtual environment is the applications'.
        if sys.prefix != sys.base_prefix:
            env["VIRTUAL_ENV"] = sys.prefix
        env["PROBE_TRACE"] = str(self.trace_file)
        # Servers of tests that run side by side do not share out cores.
        env["GCORN_RUNTIME_DIR"] = str(self.directory)
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        # Control sockets, too, stay with the test.
        env["XDG_RUNTIME_DIR"] = str(self.directory)
        env.update(more or {})
        return {key: value for key, value in env.items() if value is not None}

    # ---- life

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.stop()

    def spawn(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                self.args, env=self.env, cwd=self.cwd, stdout=output,
                stderr=output, stdin=subprocess.DEVNULL,
                start_new_session=True, pass_fds=self.pass_fds,
                preexec_fn=self.rlimit)
        self.pid = self.process.pid

    def start(self, seconds=40):
        self.spawn()
        end = time.monotonic() + seconds
        while self.ready:
            assert self.process.poll() is None, (
                "ended with %s:\n%s" % (self.process.returncode, self.log()))
            if self.answers():
                break
            assert time.monotonic() < end, "does not serve:\n" + self.log()
            time.sleep(0.02)

    def answers(self):
        try:
            with client.Client(self.address, timeout=5) as connection:
                return connection.request(self.ready).status < 500
        except (OSError, client.Closed, client.Truncated):
            return False

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=40):
        """The exit status of the master, which must end by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("still runs after %d s: %s\n%s" % (
                seconds, self.processes(), self.log()))

    def kill(self):
        for process in session_of(self.pid) if self.process else []:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process:
            self.process.wait(10)

    def stop(self):
        """TERM, and nothing may be left: no process, no report."""
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
                status = self.wait()
                assert status == 0, "exit %d\n%s" % (status, self.log())
            self.nothing_left()
            self.no_reports()
        finally:
            self.kill()

    def nothing_left(self, seconds=10):
        client.wait_until(lambda: not session_of(self.pid), seconds,
                          "the end of %s" % session_of(self.pid))

    def no_reports(self):
        if not self.expect_reports:
            found = REPORTS.search(self.log())
            assert not found, self.log()

    # ---- what it says and is

    def log(self):
        """Everything said on stdout, stderr and the error log."""
        text = ""
        for path in (self.output, self.error_log):
            if path.exists():
                text += path.read_text(errors="replace")
        return text

    def wait_log(self, pattern, seconds=20):
        return client.wait_until(
            lambda: re.search(pattern, self.log(), re.S), seconds,
            "/%s/ in the log" % pattern)

    def access_lines(self):
        """Those that have come to their end."""
        return (self.access_log.read_text().split("\n")[:-1]
                if self.access_log.exists() else [])

    def traced(self, text, seconds=10):
        """Waits for a line of the application's trace; returns all such."""
        return client.wait_until(lambda: self.trace_lines(text), seconds,
                                 "%r in the trace" % text)

    def trace_lines(self, text=""):
        if not self.trace_file.exists():
            return []
        lines = self.trace_file.read_text().splitlines()
        return [line for line in lines if text in line]

    def processes(self):
        return session_of(self.pid)

    def workers(self):
        """gcorn's worker processes: the C ones beside the master."""
        return [p for p in self.processes() if p.pid != self.pid
                and p.program == "gcorn"]

    def hosts(self):
        """Template and interpreters."""
        return [p for p in self.processes()
                if p.is_host]

    def interpreters(self):
        return [p for p in self.hosts() if "interp" in p.title
                or "interp" in p.read("comm")]

    def connect(self, **kind):
        return client.Client(self.address, **kind)

    def get(self, target="/", method="GET", **kind):
        return client.get(self.address, target, method, **kind)

    def pids(self, connections=8):
        """Process ids of the interpreters that take part when so many
        requests run at once."""
        pids = set()

        def note(response):
            pids.add(response.json.get("pid"))
            return True

        with load.Load(self, "/sleep?s=0.01", connections, check=note) as it:
            it.more(connections * 6)
        return pids
