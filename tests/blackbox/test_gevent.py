# SPDX-License-Identifier: MIT
"""The class gevent."""

import pytest

pytest.register_assert_rewrite("green_cases")

from green_cases import *  # noqa: E402, F401, F403

KIND = "gevent"
