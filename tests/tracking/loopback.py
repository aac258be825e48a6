"""A W&B server on loopback, just enough for a run to start, log, and lose its server.

It speaks what the real client asks when it starts and finishes a run, and logs and uses an
artifact (it takes every artifact as one that it has already, so that nothing is uploaded). It
shows that we drive the client rightly, not that the hosted service behaves so.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "team"


class Loopback:
    """The server; `behave("500" | "401" | "silent" | "closed" | "ok")` changes it midway."""

    def __init__(self) -> None:
        self.operations: list[tuple[str, dict[str, Any]]] = []
        """Names and variables of what was asked, in order."""
        self.artifacts: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.behaviour = "ok"
        self._connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: object) -> None:
        self.behave("closed")

    def behave(self, behaviour: str) -> None:
        """From now on answer so. `closed` is for good: connections are cut, new ones refused."""
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

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """The variables of each request of an operation."""
        return [variables for name, variables in self.operations if name == operation]

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """The `data` of a GraphQL request; None for what is not known."""
        # The operation's name as the query has it: not every request says it apart.
        operation = query.split("(")[0].split("{")[0].split()[-1]
        self.operations.append((operation, variables))
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            "Viewer": self._viewer,
            "UpsertBucket": self._upsert_run,
            "ArtifactType": lambda _: {"project": {"artifact": None}},
            "CreateArtifact": self._create_artifact,
            "ArtifactByID": lambda v: {"artifact": self._artifact(int(v["id"]))},
            "ArtifactMembershipByName": self._membership,
            "UseArtifact": lambda v: {"useArtifact": {"artifact": {"id": v["artifactID"]}}},
        }
        return answers[operation](variables) if operation in answers else None

    def _viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "viewer": {
                "id": "user",
                "entity": ENTITY,
                "username": "tester",
                "email": "",
                "flags": "{}",
                "teams": {"edges": []},
            }
        }

    def _upsert_run(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in variables.items() if value is not None}
        run = self.runs.setdefault(given.get("name", ""), {})
        run.update(given)
        project = {
            "id": "project",
            "name": given.get("project", "project"),
            "entity": {"id": "entity", "name": ENTITY},
        }
        bucket = {
            "id": "run",
            "name": given.get("name"),
            "displayName": given.get("displayName"),
            "description": "",
            "config": "{}",
            "sweepName": None,
            "historyLineCount": 0,
            "project": project,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def _create_artifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.artifacts.append(variables["input"])
        artifact = {
            "id": str(len(self.artifacts) - 1),
            "state": "COMMITTED",
            "artifactSequence": {"latestArtifact": None},
        }
        return {"createArtifact": {"artifact": artifact}}

    def _artifact(self, index: int) -> dict[str, Any]:
        logged = self.artifacts[index]
        collection = {
            "__typename": "ArtifactSequence",
            "name": logged["artifactCollectionName"],
            "project": _project(logged["projectName"]),
        }
        return {
            "__typename": "Artifact",
            "id": str(index),
            "artifactSequence": collection,
            "versionIndex": index,
            "artifactType": {"name": logged["artifactTypeName"]},
            "description": None,
            "metadata": logged["metadata"],
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": "COMMITTED",
            "size": 1,
            "digest": logged["digest"],
            "commitHash": "",
            "fileCount": 1,
            "createdAt": "2026-01-02T03:04:05",
            "updatedAt": "2026-01-02T03:04:05",
            "aliases": [],
        }

    def _membership(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"].partition(":")[0]
        for index, logged in reversed(list(enumerate(self.artifacts))):
            if logged["artifactCollectionName"] == name:
                artifact = self._artifact(index)
                collection = dict(artifact["artifactSequence"])
                membership = {
                    "__typename": "ArtifactCollectionMembership",
                    "id": f"membership-{index}",
                    "versionIndex": index,
                    "createdAt": "2026-01-02T03:04:05",
                    "aliases": [],
                    "artifactCollection": collection,
                    "artifact": artifact,
                }
                return {"project": {"artifactCollectionMembership": membership}}
        return {"project": {"artifactCollectionMembership": None}}


def _project(name: str) -> dict[str, Any]:
    return {"id": "project", "internalId": "1", "name": name, "entity": {"name": ENTITY}}


def _handler(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            loopback.accept(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if loopback.behaviour == "silent":
                while loopback.behaviour == "silent":
                    time.sleep(0.1)
                self.close_connection = True
            elif loopback.behaviour in ("401", "500"):
                self._reply(int(loopback.behaviour), {})
            elif self.path == "/graphql":
                request = json.loads(body)
                data = loopback.answer(request["query"], request.get("variables") or {})
                errors = [] if data is not None else [{"message": "unknown operation"}]
                self._reply(200, {"data": data, **({"errors": errors} if errors else {})})
            else:  # the stream of metrics and console lines
                self._reply(200, {"exitcode": None, "limits": {}})

        do_PUT = do_GET = do_POST

        def _reply(self, status: int, content: dict[str, Any]) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the terminal belongs to the tests."""

    return Handler
