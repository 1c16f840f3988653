# SPDX-License-Identifier: MIT
"""Some cases of the Autobahn test suite, where there is a Python 2.7 for it.

All of them: tests/autobahn/run. What they are about is also tested in
test_websocket.py and test_websocket_deflate.py, which need nothing.
"""

import pathlib
import subprocess

import pytest

import server

pytestmark = pytest.mark.gcorn

RUN = pathlib.Path(__file__).resolve().parents[1] / "autobahn" / "run"
CASES = "1.*,2.*,3.*,4.*,5.*,6.1.*,6.2.*,7.*,12.1.1,13.1.1,13.3.1,13.7.1"


def test_some_cases():
    done = subprocess.run([RUN, "--gcorn", server.RELEASE[0],
                           "--cases", CASES], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
