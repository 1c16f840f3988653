# SPDX-License-Identifier: MIT
import a_module_that_nobody_wrote  # noqa: F401


def app(environ, start_response):
    raise AssertionError("never imported")
