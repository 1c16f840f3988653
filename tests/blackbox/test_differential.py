# SPDX-License-Identifier: MIT
"""Our request parser against h11 and llhttp: see tests/fuzz/differences.md."""

import os
import pathlib
import sys

import pytest

from hostile import size
from server import COMMAND, ROOT, is_gcorn

sys.path.insert(0, str(ROOT / "tests" / "fuzz"))
import differential  # noqa: E402

JUDGE = pathlib.Path(COMMAND[0]).parents[1] / "tests" / "fuzz" / "http_judge"
pytestmark = pytest.mark.gcorn


@pytest.fixture(scope="module")
def found():
    seed = int(os.environ.get("GCORN_FUZZ_SEED", "1"))
    return differential.compare(JUDGE, seed, size(60, 5000))


def test_ours_is_right(found):
    right = {name: verdict for name, verdict, *_ in differential.RULES}
    wrong = {key: data for key, data in found.items()
             if not differential.is_right(right[key[0]], key[1])}
    assert not wrong


def test_each_difference_is_known(found):
    assert list(differential.rows(found)) == differential.known_rows()


def test_there_is_a_judge():
    assert not is_gcorn() or os.access(JUDGE, os.X_OK)
