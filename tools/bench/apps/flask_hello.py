# SPDX-License-Identifier: MIT
"""flask_hello - the smallest Flask application."""
from flask import Flask

app = Flask(__name__)


@app.get('/')
def hello():
    return 'Hello, world!'
