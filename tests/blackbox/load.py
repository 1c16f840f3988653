# SPDX-License-Identifier: MIT
"""Keeps a server busy on a few keep-alive connections and notes what it
gets: statuses, and how often a connection broke where none should."""

import collections
import threading

import client


class Load:
    """with Load(server, "/") as load: ...; load.statuses, load.broken"""

    def __init__(self, server, target="/", connections=8, method="GET",
                 check=None):
        self.server = server
        self.target = target
        self.method = method
        self.check = check
        self.statuses = collections.Counter()
        self.broken = []
        self.wrong = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True)
                        for _ in range(connections)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        client.wait_until(lambda: self.total >= len(self.threads),
                          what="the load")
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    @property
    def total(self):
        return sum(self.statuses.values()) + len(self.broken)

    def run(self):
        while not self.stopping.is_set():
            try:
                self.one_connection()
            except (OSError, client.Closed, client.BadResponse) as error:
                with self.lock:
                    self.broken.append(repr(error))

    def one_connection(self):
        with self.server.connect() as connection:
            while not self.stopping.is_set():
                response = connection.request(self.target, self.method)
                self.note(response)
                if response.closes:
                    return

    def note(self, response):
        with self.lock:
            self.statuses[response.status] += 1
            if self.check and response.status == 200 and (
                    not self.check(response)):
                self.wrong.append(response)

    def more(self, requests, seconds=60):
        """Waits until so many more requests were answered."""
        goal = self.total + requests
        client.wait_until(lambda: self.total >= goal, seconds,
                          "%d more requests" % requests)

    def all_good(self):
        assert not self.broken, self.broken[:5]
        assert not self.wrong, self.wrong[:5]
        assert set(self.statuses) == {200}, self.statuses


class FreshLoad(Load):
    """Each request on a connection of its own."""

    def one_connection(self):
        with self.server.connect() as connection:
            self.note(connection.request(
                self.target, self.method,
                headers=[("Connection", "close")]))
