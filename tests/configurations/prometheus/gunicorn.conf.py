import os

from prometheus_client import multiprocess

bind = "127.0.0.1:" + os.environ["PORT"]
workers = 2
threads = 2
statsd_host = None


def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
