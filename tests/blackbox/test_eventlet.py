# SPDX-License-Identifier: MIT
"""The class eventlet."""

import pytest

pytest.register_assert_rewrite("green_cases")

from green_cases import *  # noqa: E402, F401, F403

KIND = "eventlet"
