# SPDX-License-Identifier: MIT
"""Nearly valid requests, judged by our parser, by h11 and by llhttp.

Each rule takes a valid request and breaks it, or bends it, in one way; in how
many ways and upon what is drawn by chance, from a seed. The three say accept,
refuse or wait (for more), and for what they accept: method, target, fields and
body. Where they do not agree the difference is a row of differences.md, with
the RFC's word on it; ours has to be the RFC's.

    differential.py [--seed N] [--rounds N] JUDGE    prints that table
"""

import argparse
import pathlib
import random
import re
import struct
import subprocess

import h11
import httptools

TABLE = pathlib.Path(__file__).with_name("differences.md")
ACCEPT, REFUSE, EITHER = "accept", "refuse", "either"


class Request:
    """The pieces of a valid request, each of which a rule may change."""

    def __init__(self, chance):
        self.method = chance.choice([b"GET", b"POST", b"PUT", b"DELETE",
                                     b"OPTIONS", b"PATCH"])
        self.target = chance.choice([b"/", b"/a/b?c=d", b"/%20%ff", b"/a;b=c",
                                     b"/?", b"/a//b/../c"])
        self.version = b"HTTP/1.1"
        self.fields = [(b"Host", chance.choice([b"a", b"example.com:80",
                                                b"[::1]:8000"]))]
        for _ in range(chance.randrange(4)):
            self.fields.append((chance.choice([b"Accept", b"X-A", b"cookie"]),
                                chance.choice([b"", b"b", b"b c", b"\xe9",
                                               b"a,b;q=1", b"\"q\""])))
        self.body = b""
        self.eol = b"\r\n"
        self.colon = b": "
        self.before = b""
        self.end = b"\r\n"
        if chance.random() < 0.5:
            self.length(b"hello")

    def length(self, body):
        self.without_body()
        self.body = body
        self.fields.append((b"Content-Length", b"%d" % len(body)))

    def chunked(self, body=b"5\r\nhello\r\n0\r\n\r\n", coding=b"chunked"):
        self.without_body()
        self.body = body
        self.fields.append((b"Transfer-Encoding", coding))

    def without_body(self):
        self.fields = [f for f in self.fields if f[0].lower() not in (
            b"content-length", b"transfer-encoding")]
        self.body = b""

    def add(self, name, value):
        self.fields.insert(1, (name, value))

    def bytes(self):
        lines = [b"%s %s %s" % (self.method, self.target, self.version)]
        lines += [name + self.colon + value for name, value in self.fields]
        return (self.before + self.eol.join(lines) + self.eol + self.end
                + self.body)


# name, (right verdict, RFC and section, why), what it does to a request
RULES = []


def rule(name, right, where, why):
    def add(function):
        RULES.append((name, right, where, why, function))
        return function
    return add


def simple(name, right, where, why, **changes):
    def change(request, chance):
        for key, value in changes.items():
            setattr(request, key, value(chance) if callable(value) else value)
    RULES.append((name, right, where, why, change))


def field(name, right, where, why, key, values):
    def change(request, chance):
        request.add(key, chance.choice(values))
    RULES.append((name, right, where, why, change))


def body(name, right, where, why, values, coding=b"chunked"):
    def change(request, chance):
        request.chunked(chance.choice(values), coding)
    RULES.append((name, right, where, why, change))


simple("valid", ACCEPT, "9112 3", "nothing is changed")
simple("leading CRLF", ACCEPT, "9112 2.2",
       "a server SHOULD ignore one empty line", before=b"\r\n")
simple("several leading CRLF", EITHER, "9112 2.2",
       "at least one is to be ignored; more is free", before=b"\r\n\r\n\r\n")
simple("bare LF ends lines", REFUSE, "9112 2.2",
       "MAY be recognised; a known way to smuggle, so it is not", eol=b"\n")
simple("bare LF ends the head", REFUSE, "9112 2.2", "as above", end=b"\n")
simple("bare CR in the target", REFUSE, "9112 2.2",
       "a bare CR is invalid, or to be replaced by SP", target=b"/a\rb")
simple("blanks in the target", REFUSE, "9112 3",
       "invalid request lines SHOULD be answered 400", target=b"/a b")
simple("two blanks before the version", REFUSE, "9112 3",
       "exactly one SP separates", version=b" HTTP/1.1")
simple("tab as separator", REFUSE, "9112 3",
       "only lenient parsers take other whitespace",
       target=lambda c: b"/\tHTTP/1.1", version=b"")
simple("control characters in the target", REFUSE, "9112 3.2",
       "no form of target has them",
       target=lambda c: b"/a" + bytes([c.choice([0, 1, 8, 11, 127])]))
simple("obs-text in the target", EITHER, "9112 3.2",
       "not of the grammar; Python's servers give it to the application",
       target=b"/\xc3\xa9")
simple("fragment", EITHER, "9112 3.2",
       "not of the grammar; harmless, as it is cut off", target=b"/a#b")
simple("no slash", REFUSE, "9112 3.2.1", "origin-form begins with one",
       target=b"a/b", method=b"GET")
simple("asterisk", ACCEPT, "9112 3.2.4", "for OPTIONS", target=b"*",
       method=b"OPTIONS")
simple("asterisk with GET", REFUSE, "9112 3.2.4", "only for OPTIONS",
       target=b"*", method=b"GET")
simple("absolute form", ACCEPT, "9112 3.2.2",
       "MUST be accepted; its host replaces Host", target=b"http://b:80/c")
simple("authority with GET", REFUSE, "9112 3.2.3", "only for CONNECT",
       target=b"a:80", method=b"GET")
simple("empty target", REFUSE, "9112 3.2", "none is given", target=b"")
simple("method is no token", REFUSE, "9110 9.1, 5.6.2", "a method is a token",
       method=lambda c: c.choice([b"GE(T", b"G\x00T", b"GET:", b"G@T"]))
simple("unknown method", EITHER, "9110 9.1",
       "501 is for the application to say", method=b"FROB")
simple("method in lower case", EITHER, "9110 9.1",
       "case-sensitive; Gunicorn's default refuses it", method=b"get")
simple("version without minor", REFUSE, "9112 2.3", "one digit dot one digit",
       version=b"HTTP/1")
simple("version in lower case", REFUSE, "9112 2.3", "case-sensitive",
       version=b"http/1.1")
simple("version with more digits", REFUSE, "9112 2.3", "one digit each",
       version=lambda c: c.choice([b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.01"]))
simple("version 2.0", REFUSE, "9110 15.6.6", "505: not this protocol",
       version=b"HTTP/2.0")
simple("version 1.2", EITHER, "9110 2.5",
       "to be processed as the highest known minor", version=b"HTTP/1.2")
simple("version 0.9", REFUSE, "9112 2.3, 9110 15.6.6", "not HTTP/1",
       version=b"HTTP/0.9")
simple("blank before the colon", REFUSE, "9112 5.1", "MUST be answered 400",
       colon=b" : ")
simple("no blank after the colon", ACCEPT, "9112 5", "OWS is optional",
       colon=b":")
simple("tabs around values", ACCEPT, "9112 5", "OWS has tabs", colon=b":\t ")
field("name is no token", REFUSE, "9112 5, 9110 5.1", "a name is a token",
      b"X(Y", [b"a"])
field("obs-text in a name", REFUSE, "9110 5.1", "a name is a token",
      b"X\xe9", [b"a"])
field("empty name", REFUSE, "9110 5.1", "at least one character", b"", [b"a"])
field("underscore in a name", ACCEPT, "9110 5.6.2",
      "a tchar; what becomes of it is header_map's business", b"X_Y", [b"a"])
field("NUL in a value", REFUSE, "9110 5.5",
      "dangerous: MUST be rejected or replaced", b"X", [b"a\0b", b"\0"])
field("bare CR in a value", REFUSE, "9110 5.5", "as NUL", b"X", [b"a\rb"])
field("bare LF in a value", REFUSE, "9110 5.5", "as NUL", b"X",
      [b"a\nb", b"a\nB: c"])
field("control characters in a value", REFUSE, "9110 5.5",
      "invalid; MAY be retained within a safe context, which no log is", b"X",
      [b"a\x01b", b"a\x0bb", b"a\x7fb", b"\x1b[1m"])
field("obs-text in a value", ACCEPT, "9110 5.5", "opaque data", b"X",
      [b"\x80\xff"])
field("folded value", REFUSE, "9112 5.2",
      "a server MUST reject it, or replace it by SP", b"X",
      [b"a\r\n b", b"a\r\n\tb", b"\r\n b"])
field("line without a colon", REFUSE, "9112 5", "no field line", b"X",
      [b"a\r\nnothing\r\nY: z"])


@rule("blank before the first field", REFUSE, "9112 2.2",
      "MUST be rejected or consumed: never a field")
def _(request, chance):
    name, value = request.fields[0]
    request.fields[0] = (b" " + name, value)


@rule("no Host", REFUSE, "9112 3.2", "MUST be answered 400")
def _(request, chance):
    del request.fields[0]


@rule("two Hosts", REFUSE, "9112 3.2", "MUST be answered 400")
def _(request, chance):
    request.add(b"Host", chance.choice([b"a", b"b"]))


@rule("Host with invalid characters", REFUSE, "9112 3.2, 9110 7.2",
      "an invalid field value MUST be answered 400")
def _(request, chance):
    request.fields[0] = (b"Host", chance.choice([b"a b", b"a/b", b"a@b",
                                                 b"a,b", b"a\"b"]))


@rule("empty Host", EITHER, "9112 3.2, 9110 7.2",
      "allowed when the target has no authority")
def _(request, chance):
    request.fields[0] = (b"Host", b"")


@rule("HTTP/1.0 without Host", ACCEPT, "9112 3.2", "Host came with 1.1")
def _(request, chance):
    request.version = b"HTTP/1.0"
    del request.fields[0]


# ---- framing

def length(name, right, where, why, values):
    def change(request, chance):
        request.without_body()
        request.body = b"hello"
        request.fields.append((b"Content-Length", chance.choice(values)))
    RULES.append((name, right, where, why, change))


length("length with leading zeros", ACCEPT, "9112 6.2, 9110 8.6", "1*DIGIT",
       [b"05", b"0000000005"])
length("length with a sign", REFUSE, "9110 8.6", "1*DIGIT",
       [b"+5", b"-5", b"-0"])
length("length that is no number", REFUSE, "9110 8.6", "1*DIGIT",
       [b"", b"a", b"0x5", b"5_0", b"5.0", b"5 5", b"\xb2"])
length("length as a list", REFUSE, "9110 8.6",
       "equal values MAY be taken as one; refused, as all doubt of framing",
       [b"5, 5", b"5,5"])
length("length as a list of different ones", REFUSE, "9112 6.3",
       "an unrecoverable error", [b"5, 6", b"5,"])
length("length too large for 64 bits", REFUSE, "9110 8.6",
       "overflow has to be prevented",
       [b"18446744073709551621", b"9" * 30])
length("length of more than there is", EITHER, "9112 6.3",
       "more is waited for", [b"6", b"99999"])


@rule("two equal lengths", REFUSE, "9112 6.3",
      "MAY be taken as one; refused as above")
def _(request, chance):
    request.length(b"hello")
    request.fields.append((b"content-length", b"5"))


@rule("two different lengths", REFUSE, "9112 6.3", "an unrecoverable error")
def _(request, chance):
    request.length(b"hello")
    request.add(b"Content-Length", b"6")


@rule("length and chunked", REFUSE, "9112 6.1, 6.3",
      "MAY be rejected; ought to be handled as an error")
def _(request, chance):
    request.chunked()
    request.add(b"Content-Length", b"5")


@rule("chunked with HTTP/1.0", REFUSE, "9112 6.1",
      "the framing is to be treated as faulty")
def _(request, chance):
    request.chunked()
    request.version = b"HTTP/1.0"


def coding(name, right, where, why, values):
    def change(request, chance):
        request.chunked(coding=chance.choice(values))
    RULES.append((name, right, where, why, change))


coding("chunked in capitals", ACCEPT, "9112 7", "case-insensitive",
       [b"Chunked", b"CHUNKED"])
coding("coding before chunked", EITHER, "9112 6.1",
       "501 unless it is understood; gunicorn passes it on",
       [b"gzip, chunked", b"deflate,chunked"])
coding("unknown coding", REFUSE, "9112 6.1", "SHOULD be answered 501",
       [b"frob", b"frob, chunked", b"xchunked", b"\"chunked\""])
coding("chunked is not last", REFUSE, "9112 6.3",
       "the length cannot be known: 400", [b"chunked, gzip"])
coding("chunked twice", REFUSE, "9112 6.1", "MUST NOT be applied twice",
       [b"chunked, chunked"])
coding("chunked with a parameter", REFUSE, "9112 7",
       "it has none; should be treated as an error", [b"chunked;a=b"])
coding("empty coding", REFUSE, "9112 6.1", "a list of at least one", [b""])
coding("identity", REFUSE, "9112 7, appendix C",
       "no longer a coding; chunk-less framing cannot be known",
       [b"identity"])
coding("control character in a coding", REFUSE, "9112 6.1", "no token",
       [b"\x0bchunked", b"chunked\x0b"])

body("chunks", ACCEPT, "9112 7.1", "valid",
     [b"5\r\nhello\r\n0\r\n\r\n", b"1\r\na\r\n4\r\nbcde\r\n00\r\n\r\n",
      b"A\r\n0123456789\r\n0\r\n\r\n", b"0\r\n\r\n"])
body("chunk extensions", ACCEPT, "9112 7.1.1",
     "MUST be ignored when not known",
     [b"5;a\r\nhello\r\n0\r\n\r\n", b"5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"])
body("blanks around an extension", ACCEPT, "9112 7.1.1", "BWS is to be parsed",
     [b"5 ;a\r\nhello\r\n0\r\n\r\n", b"5 ; a = b\r\nhello\r\n0\r\n\r\n"])
body("blank after a chunk size", REFUSE, "9112 7.1", "BWS only before ;",
     [b"5 \r\nhello\r\n0\r\n\r\n", b"5\t\r\nhello\r\n0\r\n\r\n"])
body("blank before a chunk size", REFUSE, "9112 7.1", "1*HEXDIG",
     [b" 5\r\nhello\r\n0\r\n\r\n"])
body("chunk size that is no number", REFUSE, "9112 7.1", "1*HEXDIG",
     [b"\r\nhello\r\n0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n",
      b"0x5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n",
      b"+5\r\nhello\r\n0\r\n\r\n", b"5_\r\nhello\r\n0\r\n\r\n"])
body("chunk size too large for 64 bits", REFUSE, "9112 7.1",
     "overflow has to be prevented", [b"10000000000000005\r\nhello\r\n"])
body("bare LF after a chunk size", REFUSE, "9112 2.2, 7.1",
     "leniency for lines is not for chunks", [b"5\nhello\r\n0\r\n\r\n"])
body("bare LF after a chunk", REFUSE, "9112 7.1", "CRLF",
     [b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
      b"5\r\nhello\r\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"])
body("bare LF at the end of chunks", REFUSE, "9112 7.1", "CRLF",
     [b"5\r\nhello\r\n0\n\n", b"5\r\nhello\r\n0\r\n\n"])
body("bare CR in an extension", REFUSE, "9112 7.1.1, 2.2", "a bare CR",
     [b"5;a\rb\r\nhello\r\n0\r\n\r\n"])
body("bare LF in an extension", REFUSE, "9112 7.1.1, 2.2",
     "an extension ends with CRLF", [b"5;a\nb\r\nhello\r\n0\r\n\r\n"])
body("control characters in an extension", REFUSE, "9112 7.1.1",
     "tokens and quoted strings only", [b"5;\0\r\nhello\r\n0\r\n\r\n",
                                        b"5;\x01=a\r\nhello\r\n0\r\n\r\n"])
body("trailers", ACCEPT, "9112 7.1.2", "allowed, and discarded",
     [b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"])
body("trailers about framing", EITHER, "9110 6.5.1",
     "MUST NOT be sent; to be ignored or refused",
     [b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"])
body("trailer that is no field", REFUSE, "9112 7.1.2", "field lines",
     [b"5\r\nhello\r\n0\r\nnothing\r\n\r\n", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
      b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"])


# ---- the three

def ask_h11(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(data)
        request, content = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return ("wait",)
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return ("accept", request.method, request.target, content,
                        sorted((n, v) for n, v in request.headers))
            else:
                return ("refuse",)
    except h11.RemoteProtocolError:
        return ("refuse",)


class Listener:
    def __init__(self):
        self.url, self.content, self.fields, self.done = b"", b"", [], False

    def on_url(self, url):
        if not self.done:
            self.url += url

    def on_header(self, name, value):
        if not self.done:
            self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self):
        self.count = len(self.fields)

    def on_body(self, content):
        if not self.done:
            self.content += content

    def on_message_complete(self):
        self.done = True


def ask_llhttp(data):
    listener = Listener()
    parser = httptools.HttpRequestParser(listener)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return ("refuse",)
    if not listener.done:
        return ("wait",)
    return ("accept", parser.get_method(), listener.url, listener.content,
            sorted(listener.fields[:listener.count]))


def ask_ours(judge, inputs):
    text = b"".join(struct.pack("=I", len(data)) + data for data in inputs)
    lines = subprocess.run([judge], input=text, stdout=subprocess.PIPE,
                           check=True).stdout.decode().splitlines()
    assert len(lines) == len(inputs)
    for line in lines:
        words = line.split()
        if words[0] != "accept":
            yield (words[0],)
            continue
        raw = [b"" if w == "-" else bytes.fromhex(w) for w in words[1:]]
        yield ("accept", raw[0], raw[1], raw[2], sorted(
            zip((n.lower() for n in raw[3::2]), raw[4::2])))


def verdict(ours, theirs):
    """What they say, in the light of what we say."""
    if theirs[0] == "accept" and ours[0] == "accept" and theirs != ours:
        parts = ["method", "target", "body", "fields"]
        return "accept, other " + " and ".join(
            part for part, a, b in zip(parts, ours[1:], theirs[1:]) if a != b)
    return theirs[0]


def compare(judge, seed=1, rounds=30):
    """{(rule, ours, h11, llhttp): one such input}"""
    chance = random.Random(seed)
    cases = []
    for _ in range(rounds):
        for name, _right, _where, _why, change in RULES:
            request = Request(chance)
            change(request, chance)
            cases.append((name, request.bytes()))
    found = {}
    ours = ask_ours(judge, [data for _, data in cases])
    for (name, data), mine in zip(cases, ours):
        found.setdefault((name, mine[0], verdict(mine, ask_h11(data)),
                          verdict(mine, ask_llhttp(data))), data)
    return found


def is_right(right, ours):
    """To wait for more is to have accepted nothing yet."""
    return right == EITHER or right == ours


def rows(found):
    """The differences, as rows of the table, in the order of the rules."""
    order = {r[0]: n for n, r in enumerate(RULES)}
    for key in sorted(found, key=lambda k: (order[k[0]], k)):
        name, ours, h11_says, llhttp_says = key
        if ours == h11_says == llhttp_says:
            continue
        _, right, where, why, _ = RULES[order[name]]
        yield "| %s | %s | %s | %s | %s | %s: %s |" % (
            name, ours, h11_says, llhttp_says, right, where, why)


def known_rows():
    return [line for line in TABLE.read_text().splitlines()
            if re.match(r"\| (?!request|---)", line)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("judge", help="build/debug/tests/fuzz/http_judge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    found = compare(args.judge, args.seed, args.rounds)
    for row in rows(found):
        print(row)
    for (name, right, *_rest) in RULES:
        for key, data in found.items():
            if key[0] == name and not is_right(right, key[1]):
                print("WRONG", key, data)


if __name__ == "__main__":
    main()
