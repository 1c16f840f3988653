# SPDX-License-Identifier: MIT
"""Takes its time to import, as big applications do."""
import time

from hello import app  # noqa: F401

time.sleep(2)
