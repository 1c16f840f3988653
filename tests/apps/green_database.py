# SPDX-License-Identifier: MIT
"""A Flask site on PostgreSQL under gevent or eventlet: psycopg2 with
psycogreen's wait callback, and psycopg 3, which finds gevent by itself."""

import os
import sys

import psycopg
import psycopg2
import psycopg2.pool
from flask import Flask, jsonify, request

if "eventlet" in sys.modules:
    from psycogreen.eventlet import patch_psycopg
else:
    from psycogreen.gevent import patch_psycopg

URL = os.environ["DATABASE_URL"]
patch_psycopg()
app = Flask(__name__)
count = {"now": 0, "most": 0}

with psycopg2.connect(URL) as setup, setup.cursor() as cursor:
    cursor.execute("SELECT pg_advisory_xact_lock(1)")
    cursor.execute("CREATE TABLE IF NOT EXISTS notes (id serial, text text)")
setup.close()


@app.before_request
def begin():
    count["now"] += 1
    count["most"] = max(count["most"], count["now"])


@app.teardown_request
def end(error):
    count["now"] -= 1


@app.get("/")
def index():
    return "ready"


@app.get("/sleep/<int:driver>")
def sleep(driver):
    connect = psycopg2.connect if driver == 2 else psycopg.connect
    connection = connect(URL)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s), 42", (request.args["s"],))
        answer = cursor.fetchone()[1]
    connection.close()
    return jsonify(answer=answer, most=count["most"])


@app.post("/notes")
def write():
    with psycopg2.connect(URL) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO notes (text) VALUES (%s) RETURNING id",
                       (request.get_data(as_text=True),))
        number = cursor.fetchone()[0]
    connection.close()
    return jsonify(id=number)


@app.get("/notes/<int:number>")
def read(number):
    with psycopg2.connect(URL) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM notes WHERE id = %s", (number,))
        text = cursor.fetchone()[0]
    connection.close()
    return text
