# SPDX-License-Identifier: MIT
def app(environ, start_response)
    return []
