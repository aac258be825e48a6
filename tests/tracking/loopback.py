"""A W&B server on loopback that the real client can log to, sync to and read back from.

It speaks the client's protocols (0.31): GraphQL, the stream of a run's rows and console lines, and
the upload and download of files. A test looks at what it holds (`runs`, `history()`, `artifacts`,
`contents()`, `alerts`, …), or reads it back by `wandb.Api()`.

    with Loopback() as server:  # and WANDB_BASE_URL=server.url
        …
        server.behave("silent", at="CommitArtifact")

It shows that we drive the client rightly, not that the hosted service behaves so: it was written
from what the client asks and takes. It knows no logins, permissions, quotas or retention, gives all
of a list on one page, filters runs by equality only, moves no alias to another version when one is
deleted, and keeps rows that are sent twice twice. What it does not know it lists in `unknown`.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from tests.tracking.loopback_state import ENTITY, ORGANISATION, Json, Refused, State

__all__ = ["ENTITY", "ORGANISATION", "Loopback"]

_DIGEST = re.compile(r"/([0-9a-f]{32})(?:/|$)")
_STATUS = {"ok": 200, "slow": 200, "401": 401, "429": 429, "500": 500, "silent": 0, "closed": 0}


class Loopback(State):
    """The server; `behave` changes midway what it does to all requests."""

    def __init__(self) -> None:
        super().__init__()
        self.behaviour = "ok"
        self.seconds = 1.0
        self._turn: tuple[str, str] | None = None
        self._connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        # Closing waits for the next poll.
        poll = {"poll_interval": 0.05}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=poll, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: object) -> None:
        self.behave("closed")

    def behave(self, behaviour: str, *, seconds: float = 1.0, at: str | None = None) -> None:
        """From now on, or from the next request of an operation or path that contains `at`.

        `ok`; `401`, `500`, `429` (with `Retry-After: seconds`); `slow`: each answer takes
        `seconds`; `silent`: no answer until the behaviour changes, and then a cut connection;
        `closed`: connections are cut and new ones refused, for good.
        """
        if behaviour not in _STATUS:
            raise ValueError(f"the loopback server cannot be {behaviour!r}")
        self.seconds = seconds
        if at is not None:
            self._turn = (at, behaviour)
            return
        was_closed, self.behaviour = self.behaviour == "closed", behaviour
        if behaviour == "closed" and not was_closed:
            self._server.shutdown()
            self._server.server_close()
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the client has closed it already
                    connection.shutdown(socket.SHUT_RDWR)

    def accept(self, connection: socket.socket) -> None:
        """Remember a connection, to be cut later."""
        self._connections.append(connection)

    def admit(self, path: str, body: bytes) -> int:
        """The status to answer a request with, once it is time to; 0: none."""
        if self._turn is not None:
            at, behaviour = self._turn
            if at in path or (path == "/graphql" and f" {at}".encode() in body):
                self._turn = None
                self.behave(behaviour, seconds=self.seconds)
        status = _STATUS[self.behaviour]
        while self.behaviour == "silent":
            time.sleep(0.05)
        if self.behaviour == "slow":
            time.sleep(self.seconds)
        return status

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and content for a request that was admitted."""
        try:
            if path == "/graphql":
                request = json.loads(body)
                data = self.answer(request["query"], request.get("variables") or {})
                errors = {} if data is not None else {"errors": [{"message": "unknown operation"}]}
                return 200, _encode({"data": data} | errors)
            if path.startswith(("/artifacts/", "/artifactsV2/")):  # an address the client made
                path = f"/storage/artifacts/{_DIGEST.findall(path)[0]}"
            if path.startswith("/storage/"):
                name = unquote(path.removeprefix("/storage/"))
                if method == "PUT":
                    self.store(name, body)
                    return 200, b""
                return (200, self.files[name]) if name in self.files else (404, b"")
            if path.endswith("/file_stream"):
                self.stream(path.split("/")[-2], json.loads(body))
                return 200, _encode({"exitcode": None, "limits": {}})
        except Refused as refusal:
            status = 200 if path == "/graphql" else 400
            return status, _encode({"data": None, "errors": [{"message": str(refusal)}]})
        return 404, b""


def _encode(content: Json) -> bytes:
    return json.dumps(content).encode()


def _handler(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            loopback.accept(self.connection)

        def do_POST(self) -> None:
            self.path = re.sub("^http://[^/]*", "", self.path)  # as a proxy is asked
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = loopback.admit(self.path, body)
            if status == 0:
                self.close_connection = True
            elif status == 200:
                self._reply(*loopback.respond(self.command, self.path, body))
            else:
                self._reply(status, b"{}")

        do_PUT = do_GET = do_POST

        def _reply(self, status: int, content: bytes) -> None:
            with contextlib.suppress(ConnectionError):  # cut, or the client has given up
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", f"{loopback.seconds:.0f}")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the terminal belongs to the tests."""

    return Handler
