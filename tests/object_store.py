"""An S3 emulator on the loopback, in the process of the tests: moto behind a server that can be told to fail."""

from __future__ import annotations

import os
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "bucket"
THROTTLED = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class S3Emulator:
    """A running server. `environment` is what a process needs to reach it."""

    def __init__(self, port: int, faults: Faults) -> None:
        self.faults = faults
        self.address = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_REGION": "us-east-1",
        }

    def url(self, name: str) -> str:
        """Return the URL of a data set of its own."""
        return f"s3://{BUCKET}/{name}"


class Faults:
    """Stands before the emulator; refuses the next `num_left` requests whose method and path are asked for.

    With `loses_answers` they are done all the same, as when a connection breaks after the work.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.num_requests: dict[str, int] = {}
        self.status = "503 Slow Down"
        self.num_left = 0
        self.loses_answers = False
        self.is_hit: Callable[[str, str], bool] = lambda method, path: True

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.num_requests[method] = self.num_requests.get(method, 0) + 1
            is_refused = self.num_left > 0 and self.is_hit(method, path)
            self.num_left -= is_refused
        if not is_refused:
            return self._application(environ, start_response)
        if self.loses_answers:
            b"".join(self._application(environ, lambda *answer: lambda content: None))
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(self.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(THROTTLED)))])
        return [THROTTLED]


@contextmanager
def s3_emulator() -> Iterator[S3Emulator]:
    """Run the server on a free port, with one empty bucket, and point this process's environment at it."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log(self, *message: object) -> None:
            pass

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    emulator = S3Emulator(server.server_port, faults)
    before = dict(os.environ)
    os.environ.update(emulator.environment)
    try:
        urllib.request.urlopen(urllib.request.Request(f"{emulator.address}/{BUCKET}", method="PUT")).close()
        yield emulator
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.shutdown()
        thread.join()
