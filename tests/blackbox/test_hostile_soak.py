# SPDX-License-Identifier: MIT
"""tests/soak/run, shortly: after mixed hostile load all is as it was."""

import subprocess
import sys

import pytest

from hostile import BACKENDS, size
from server import ROOT

pytestmark = pytest.mark.gcorn


@pytest.mark.parametrize("io", BACKENDS)
@pytest.mark.parametrize("how", [[], ["--kill"], ["-k", "gevent"]],
                         ids=["", "kill", "gevent"])
def test_soak(io, how):
    if "gevent" in how:
        pytest.importorskip("gevent")
    minutes = size("0.25", "30")
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "soak" / "run", minutes, "--io", io,
         "--threads", "12"] + how, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=float(minutes) * 60 + 240)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
