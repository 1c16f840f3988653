# SPDX-License-Identifier: MIT
"""Real proxies in front of a server: nginx and HAProxy, as a test wants them
configured, run in a directory of the test's own."""

import os
import pathlib
import shutil
import subprocess

import pytest

import client
from server import free_port

# What Debian's nginx packages ship as /etc/nginx/uwsgi_params.
UWSGI_PARAMS = """
uwsgi_param QUERY_STRING $query_string;
uwsgi_param REQUEST_METHOD $request_method;
uwsgi_param CONTENT_TYPE $content_type;
uwsgi_param CONTENT_LENGTH $content_length;
uwsgi_param REQUEST_URI $request_uri;
uwsgi_param PATH_INFO $document_uri;
uwsgi_param DOCUMENT_ROOT $document_root;
uwsgi_param SERVER_PROTOCOL $server_protocol;
uwsgi_param REQUEST_SCHEME $scheme;
uwsgi_param HTTPS $https if_not_empty;
uwsgi_param REMOTE_ADDR $remote_addr;
uwsgi_param REMOTE_PORT $remote_port;
uwsgi_param SERVER_PORT $server_port;
uwsgi_param SERVER_NAME $server_name;
"""

NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    uwsgi_temp_path {directory}/uwsgi;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        server_name example.org;
        {locations}
    }}
}}
"""

STREAM = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log info;
events {{ worker_connections 256; }}
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass {server};
        proxy_protocol on;
    }}
}}
"""

HAPROXY = """
global
    log stdout format raw local0 warning
defaults
    mode {mode}
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    default_backend out
backend out
    {backend}
    server one {server}
"""


class Proxy:
    """A process in the foreground that listens at a port."""

    def __init__(self, directory, name, port):
        if not shutil.which(name):
            pytest.fail("%s is not installed: tools/setup --tests" % name)
        self.directory = pathlib.Path(directory)
        self.address = ("127.0.0.1", port)
        self.output = self.directory / (name + ".out")
        self.process = None

    def spawn(self, *command):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, cwd=self.directory)
        client.wait_until(self.listens, 20, "a proxy that listens")

    def listens(self):
        assert self.process.poll() is None, self.output.read_text()
        try:
            client.Client(self.address, timeout=5).close()
        except OSError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def connect(self, **kind):
        return client.Client(self.address, **kind)

    def get(self, target="/", method="GET", **kind):
        return client.get(self.address, target, method, **kind)


class Nginx(Proxy):
    def __init__(self, directory, locations, http=""):
        port = free_port()
        super().__init__(directory, "nginx", port)
        config = self.directory / "nginx.conf"
        config.write_text(NGINX.format(
            directory=self.directory, port=port, locations=locations,
            http=http))
        self.run(config)

    def run(self, config):
        os.chmod(self.directory, 0o755)
        self.spawn("nginx", "-c", str(config), "-p", str(self.directory),
                   "-e", str(self.directory / "nginx.log"))


class NginxStream(Nginx):
    """Passes connections on, each with a PROXY protocol header."""

    def __init__(self, directory, server):
        port = free_port()
        Proxy.__init__(self, directory, "nginx", port)
        config = self.directory / "nginx.conf"
        config.write_text(STREAM.format(directory=self.directory, port=port,
                                        server=server))
        self.run(config)


class Haproxy(Proxy):
    def __init__(self, directory, server, mode="http", backend=""):
        port = free_port()
        super().__init__(directory, "haproxy", port)
        config = self.directory / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=port, server=server, mode=mode,
                                         backend=backend))
        self.spawn("haproxy", "-db", "-f", str(config))
