"""Counts requests in every worker; /metrics adds them up."""
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    make_wsgi_app,
    multiprocess,
)

REQUESTS = Counter("shop_requests", "Requests", ["path"])
BUSY = Gauge("shop_busy", "Busy", multiprocess_mode="livesum")
ALIVE = Gauge("shop_alive", "Workers", multiprocess_mode="livesum")
SECONDS = Histogram("shop_seconds", "Duration")
ALIVE.set(1)


def metrics():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return make_wsgi_app(registry)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        return metrics()(environ, start_response)
    with BUSY.track_inprogress(), SECONDS.time():
        REQUESTS.labels(environ["PATH_INFO"]).inc()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"shop"]
