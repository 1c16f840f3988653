# SPDX-License-Identifier: MIT
"""The demo of gcorn: a WSGI application on the standard library alone.

A page, a guest book in SQLite, a slow page that does not hold up the others,
a file that the server sends without Python touching its bytes, and an upload
that is echoed. GCORN_DEMO_DB names the guest book's file.
"""

import hashlib
import html
import os
import sqlite3
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = os.environ.get("GCORN_DEMO_DB") or os.path.join(
    tempfile.gettempdir(), "gcorn-demo-%d.sqlite3" % os.getuid())
MAX_NOTE = 500
MAX_FORM = 64 * 1024

LAYOUT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} &middot; gcorn</title>
<link rel="stylesheet" href="{base}/style.css">
</head>
<body>
<header><a class="name" href="{base}/">gcorn</a>
<nav><a href="{base}/guestbook">Guest book</a>
<a href="{base}/slow?seconds=2">Slow page</a>
<a href="{base}/download">Download</a>
<a href="{base}/upload">Upload</a></nav></header>
<main>
<h1>{title}</h1>
{body}
</main>
<footer>Answered by interpreter {pid} &middot; {software}</footer>
</body>
</html>
"""

WELCOME = """
<p>This page comes from <code>tools/demo/app.py</code>, served by gcorn.</p>
<ul class="cards">
<li><a href="{base}/guestbook"><b>Guest book</b> reads and writes an SQLite
database.</a></li>
<li><a href="{base}/slow?seconds=2"><b>Slow page</b> sleeps for two seconds.
Open it a few times and see this page stay quick: a waiting request is taken
by any interpreter that is free.</a></li>
<li><a href="{base}/download"><b>Download</b> sends a file through
<code>wsgi.file_wrapper</code>: the bytes never pass through Python.</a></li>
<li><a href="{base}/upload"><b>Upload</b> tells the size and the SHA-256 of
what you send. A slow upload holds no interpreter.</a></li>
</ul>
<p>Your next application: <code>gcorn -w 4 mysite.wsgi</code></p>
"""

GUESTBOOK = """
<form method="post" action="{base}/guestbook">
<label>Your name <input name="name" maxlength="60" required></label>
<label>A line for the book
<input name="note" maxlength="500" required></label>
<button>Sign</button></form>
<ol class="notes" reversed>{notes}</ol>
"""

UPLOAD = """
<form method="post" action="{base}/upload" enctype="multipart/form-data">
<label>Any file <input type="file" name="file" required></label>
<button>Send</button></form>
<p>Or: <code>curl --data-binary @file {url}</code></p>
"""


class Refused(Exception):
    """What the visitor did wrong: a status and a sentence."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def base_of(environ):
    return html.escape(urllib.parse.quote(environ.get("SCRIPT_NAME", "")))


def page(environ, title, body):
    text = LAYOUT.format(
        title=html.escape(title), body=body, base=base_of(environ),
        pid=os.getpid(),
        software=html.escape(environ.get("SERVER_SOFTWARE", "")))
    return [("Content-Type", "text/html; charset=utf-8")], [text.encode()]


def length_of_body(environ):
    try:
        return max(0, int(environ.get("CONTENT_LENGTH") or 0))
    except ValueError:
        raise Refused("400 Bad Request", "Content-Length is not a number.")


def read_form(environ):
    length = length_of_body(environ)
    if length > MAX_FORM:
        raise Refused("413 Content Too Large", "That is a very long note.")
    raw = environ["wsgi.input"].read(length)
    try:
        return dict(urllib.parse.parse_qsl(raw.decode("utf-8")))
    except UnicodeDecodeError:
        raise Refused("400 Bad Request", "The form is not UTF-8.")


def database():
    db = sqlite3.connect(DATABASE, timeout=10)
    db.execute("CREATE TABLE IF NOT EXISTS notes ("
               "id INTEGER PRIMARY KEY, at REAL, name TEXT, note TEXT)")
    return db


def index(environ):
    return "200 OK", page(environ, "It works",
                          WELCOME.format(base=base_of(environ)))


def note_item(row):
    at, name, note = row
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    return "<li><b>%s</b> <time>%s</time><br>%s</li>" % (
        html.escape(name), when, html.escape(note))


def show_guestbook(environ):
    db = database()
    try:
        rows = db.execute("SELECT at, name, note FROM notes "
                          "ORDER BY id DESC LIMIT 50").fetchall()
    finally:
        db.close()
    notes = "".join(map(note_item, rows)) or "<li>Nobody yet.</li>"
    return "200 OK", page(environ, "Guest book", GUESTBOOK.format(
        notes=notes, base=base_of(environ)))


def sign_guestbook(environ):
    form = read_form(environ)
    name = form.get("name", "").strip()[:60]
    note = form.get("note", "").strip()[:MAX_NOTE]
    if not name or not note:
        raise Refused("400 Bad Request", "Please give a name and a line.")
    db = database()
    try:
        with db:
            db.execute("INSERT INTO notes (at, name, note) VALUES (?, ?, ?)",
                       (time.time(), name, note))
    finally:
        db.close()
    where = environ.get("SCRIPT_NAME", "") + "/guestbook"
    return "303 See Other", ([("Content-Type", "text/plain"),
                              ("Location", where)], [])


def slow(environ):
    query = urllib.parse.parse_qs(environ.get("QUERY_STRING", ""))
    try:
        seconds = min(10.0, max(0.0, float(query.get("seconds", ["2"])[0])))
    except ValueError:
        raise Refused("400 Bad Request", "How many seconds is that?")
    time.sleep(seconds)
    return "200 OK", page(environ, "That took %g seconds" % seconds,
                          "<p>And the other pages stayed quick.</p>")


def download(environ):
    path = os.path.join(HERE, "app.py")
    source = open(path, "rb")
    headers = [("Content-Type", "text/x-python; charset=utf-8"),
               ("Content-Length", str(os.path.getsize(path))),
               ("Content-Disposition", 'attachment; filename="app.py"')]
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is None:
        with source:
            return "200 OK", (headers, [source.read()])
    return "200 OK", (headers, wrapper(source))


def upload_form(environ):
    url = "http://%s%s/upload" % (environ.get("HTTP_HOST", "127.0.0.1:8000"),
                                  environ.get("SCRIPT_NAME", ""))
    return "200 OK", page(environ, "Upload", UPLOAD.format(
        base=base_of(environ), url=html.escape(url)))


def upload(environ):
    digest = hashlib.sha256()
    stream = environ["wsgi.input"]
    left = length_of_body(environ)
    size = 0
    while left > 0:
        piece = stream.read(min(left, 1 << 20))
        if not piece:
            break
        digest.update(piece)
        size += len(piece)
        left -= len(piece)
    text = "%d bytes, SHA-256 %s\n" % (size, digest.hexdigest())
    return "200 OK", ([("Content-Type", "text/plain; charset=utf-8")],
                      [text.encode()])


def style(environ):
    return "200 OK", ([("Content-Type", "text/css; charset=utf-8"),
                       ("Cache-Control", "max-age=300")], [STYLE])


PAGES = {
    ("GET", "/"): index,
    ("GET", "/style.css"): style,
    ("GET", "/guestbook"): show_guestbook,
    ("POST", "/guestbook"): sign_guestbook,
    ("GET", "/slow"): slow,
    ("GET", "/download"): download,
    ("GET", "/upload"): upload_form,
    ("POST", "/upload"): upload,
}


def answer(environ):
    method = environ["REQUEST_METHOD"]
    path = environ.get("PATH_INFO", "") or "/"
    found = PAGES.get(("GET" if method == "HEAD" else method, path))
    if found:
        return found(environ)
    if any(path == known for _, known in PAGES):
        raise Refused("405 Method Not Allowed",
                      "This page does not take %s." % method)
    raise Refused("404 Not Found", "There is no such page here.")


def app(environ, start_response):
    try:
        status, (headers, body) = answer(environ)
    except Refused as refusal:
        status = refusal.status
        headers, body = page(environ, status.split(" ", 1)[1],
                             "<p>%s</p>" % html.escape(refusal.sentence))
    start_response(status, headers)
    return body


STYLE = b"""
:root { color-scheme: light dark; --ink: #22252a; --paper: #fbfaf7;
  --line: #dcd8cd; --accent: #a8480f; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e3dc;
  --paper: #1b1c1f; --line: #3a3b40; --accent: #f0a060; --card: #242529; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem; color: var(--ink);
  background: var(--paper); font: 1.05rem/1.6 system-ui, sans-serif; }
header { display: flex; gap: 2rem; align-items: baseline; flex-wrap: wrap;
  border-bottom: 1px solid var(--line); padding-bottom: .8rem; }
.name { font-weight: 700; font-size: 1.4rem; text-decoration: none; }
a { color: var(--accent); }
nav { display: flex; gap: 1.2rem; flex-wrap: wrap; }
h1 { font-size: 2rem; margin: 1.5rem 0 .5rem; }
code { font-size: .92em; background: var(--card); padding: .1em .35em;
  border: 1px solid var(--line); border-radius: 4px; }
.cards { display: grid; gap: 1rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.cards a { display: block; height: 100%; padding: 1rem 1.2rem;
  background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; color: inherit; text-decoration: none; }
.cards a:hover { border-color: var(--accent); }
.cards b { display: block; color: var(--accent); }
form { display: grid; gap: .8rem; max-width: 28rem; margin: 1.2rem 0; }
label { display: grid; gap: .2rem; }
input, button { font: inherit; padding: .5rem .7rem; border-radius: 6px;
  border: 1px solid var(--line); background: var(--card); color: inherit; }
button { background: var(--accent); color: var(--paper); border: 0;
  cursor: pointer; justify-self: start; padding-inline: 1.6rem; }
.notes { padding-left: 2rem; } .notes li { margin: .6rem 0; }
time, footer { opacity: .65; font-size: .88rem; }
footer { border-top: 1px solid var(--line); margin-top: 3rem;
  padding-top: .8rem; }
"""
