import multiprocessing

bind = "unix:/run/gunicorn.sock"
workers = min(multiprocessing.cpu_count() * 2 + 1, 3)
worker_class = "gthread"
threads = 4
worker_tmp_dir = "/dev/shm"
max_requests = 1000
max_requests_jitter = 100
timeout = 60
graceful_timeout = 30
keepalive = 5
preload_app = True
errorlog = "-"
loglevel = "info"
access_log_format = (
    '%({x-forwarded-for}i)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s '
    '"%(f)s" "%(a)s" %(D)s'
)
proc_name = "mysite"
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}


def on_starting(server):
    server.log.info("Server is starting")


def when_ready(server):
    server.log.info("Server is ready. Spawning workers")


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)


def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")


def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")


def worker_exit(server, worker):
    from django.db import connections

    for connection in connections.all():
        connection.close()
    server.log.info("Worker exited (pid: %s)", worker.pid)
