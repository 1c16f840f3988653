import json
import os

workers_per_core = float(os.getenv("WORKERS_PER_CORE", "1"))
web_concurrency = os.getenv("WEB_CONCURRENCY")
host = os.getenv("HOST", "127.0.0.1")
port = os.getenv("PORT", "80")
use_loglevel = os.getenv("LOG_LEVEL", "info")

if web_concurrency:
    workers = int(web_concurrency)
    assert workers > 0
else:
    workers = max(int(workers_per_core * os.cpu_count()), 2)

bind = os.getenv("BIND") or f"{host}:{port}"
loglevel = use_loglevel
errorlog = os.getenv("ERROR_LOG", "-") or None
accesslog = os.getenv("ACCESS_LOG", "-") or None
worker_tmp_dir = "/dev/shm"
graceful_timeout = int(os.getenv("GRACEFUL_TIMEOUT", "120"))
timeout = int(os.getenv("TIMEOUT", "120"))
keepalive = int(os.getenv("KEEP_ALIVE", "5"))

# For debugging and testing
log_data = {
    "loglevel": loglevel,
    "workers": workers,
    "bind": bind,
    "timeout": timeout,
}
print(json.dumps(log_data), flush=True)
