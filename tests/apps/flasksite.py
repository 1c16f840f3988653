# SPDX-License-Identifier: MIT
"""A small Flask site: forms, a session, streaming, files, an error page."""

import hashlib
import io
import time

from flask import (Flask, Response, abort, jsonify, redirect, request,
                   send_file, session, stream_with_context, url_for)


def create_app():
    app = Flask(__name__)
    app.secret_key = "only-for-tests"

    @app.get("/")
    def index():
        return "<h1>Flask</h1><p>%s</p>" % session.get("name", "nobody")

    @app.post("/login")
    def login():
        session["name"] = request.form["name"]
        return redirect(url_for("index"))

    @app.route("/json", methods=["GET", "POST", "PUT"])
    def as_json():
        return jsonify(method=request.method, args=request.args,
                       body=request.get_json(silent=True),
                       remote=request.remote_addr, url=request.url)

    @app.post("/upload")
    def upload():
        sent = request.files["file"]
        data = sent.read()
        return jsonify(name=sent.filename, size=len(data),
                       sha256=hashlib.sha256(data).hexdigest())

    @app.get("/stream")
    def stream():
        def rows():
            for i in range(int(request.args.get("n", 5))):
                yield "row %d\n" % i
        return Response(stream_with_context(rows()), mimetype="text/plain")

    @app.get("/file")
    def a_file():
        return send_file(io.BytesIO(b"f" * 100000), download_name="f.bin",
                         mimetype="application/octet-stream")

    @app.get("/source")
    def source():
        return send_file(__file__, mimetype="text/x-python",
                         conditional=True)

    @app.get("/sleep")
    def sleep():
        time.sleep(float(request.args.get("s", 0.1)))
        return "slept"

    @app.get("/teapot")
    def teapot():
        abort(418)

    @app.get("/boom")
    def boom():
        raise RuntimeError("a Flask view raises on purpose")

    return app


app = create_app()
