"""An S3-compatible server (moto's) on this machine, with faults in front of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKET = "corpora"
SLOW = 4.0
"""Seconds that a slow answer takes."""


class Store:
    """The server, as tests see it."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._app: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.asked: list[str] = []
        """Requests, as `GET /corpora/a.wav`."""
        self.faults: dict[str, list[str]] = {}
        """By the end of a request's line, what goes wrong with the next ones: `500`, `403`, `slow`
        or `cut`."""
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        line = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        with self._lock:
            self.asked.append(line)
            waiting = next((left for end, left in self.faults.items() if line.endswith(end)), [])
            fault = waiting.pop(0) if waiting else ""
        if fault.isdigit():
            start(f"{fault} Fault", [("Content-Length", "0")])
            return [b""]
        if fault == "slow":
            time.sleep(SLOW)
        # Who comes without a login, as a web browser does, may read too.
        environ.setdefault("HTTP_AUTHORIZATION", "AWS key:signature")
        content = b"".join(self._app(environ, start))
        return [content[: len(content) // 2] if fault == "cut" else content]

    @contextmanager
    def running(self) -> Iterator[Store]:
        """Serve within the block."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
