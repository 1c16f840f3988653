# SPDX-License-Identifier: MIT
"""balance - do fast requests wait behind slow ones? Runs balance.c, which
says what is asked, against servers with 8 places of one request each."""
import json
import subprocess
from pathlib import Path

import measure
import processes
from applications import MIXED

RATE = 1000     # a second: the 8 places are a quarter busy
SLOW = 10       # of a thousand
PEERS = ('gcorn', 'gunicorn-gthread', 'granian', 'bjoern')


def find_client(options):
    """Built with gcorn; its place is known from gcorn's."""
    if options.balance:
        return options.balance
    return options.gcorn.parents[1] / 'tools' / 'bench' / 'balance'


def ask(client, port, slow, seed, options):
    """One run of the client; `slow` of a thousand requests wait."""
    seconds = max(5, 2 * options.seconds)
    done = subprocess.run(
        ['taskset', '-c', options.client_cpus, str(client), str(port),
         str(MIXED.connections), str(RATE), str(seconds), str(slow),
         str(seed)],
        capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise measure.Unfit(done.stderr.strip())
    return json.loads(done.stdout)


def serve(server, launch, seed, options, environment):
    """The server with slow requests; "alone" is the same without them.

    That is what one queue would reach: with a quarter of the places busy all
    of them are in one of a thousand moments.
    """
    client = find_client(options)
    with open(launch.directory / f'{server.name}.log', 'wb') as log:
        group = processes.Group(server.commands(launch), options.server_cpus,
                                log, env=environment)
        try:
            measure.wait_ready(group, launch.port)
            measure.check_soon(server, MIXED, launch.port)
            measure.settle(group)
            alone = ask(client, launch.port, 0, seed, options)
            return ask(client, launch.port, SLOW, seed, options) | {
                'alone': alone}
        finally:
            group.stop()
