"""Serves the rows to be judged to a browser on this machine, and keeps the verdicts.

Other pages in the same browser, and other users of the machine, can reach the loopback address too.
So every request needs a token that only the printed address holds; the host must be the loopback
address, against names that resolve to it; and the origin, where a browser says it, must be the page
itself.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from asr_gate.audit.report.clips import RATE, vorbis
from asr_gate.audit.report.page import page
from asr_gate.audit.review.shown import Shown
from asr_gate.audit.review.store import ReviewFile
from asr_gate.audit.review.verdicts import LONGEST_LINE, Verdict, parse_verdict
from asr_gate.corpus.speech.audio import AudioError
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.text.plain import plain

HOST = "127.0.0.1"
LONGEST_ADDRESS = 2000
"""Characters of a request's path."""
KEPT_CLIPS = 50
"""Encoded recordings that are kept, so that seeking does not decode again."""
PATIENCE = 30.0
"""Seconds that a browser may take to send a request."""

_AUDIO = re.compile(r"/audio/([0-9]{1,9})")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


class Refused(Exception):
    """A request that is not answered, with the status that says why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """One review, on a port of its own."""

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, shown: Shown, store: ReviewFile, reviewer: str = "") -> None:
        """Listen on a free port of the loopback address; nothing is answered yet.

        Args:
            shown: the rows to be judged.
            store: where verdicts go.
            reviewer: who judges; empty: the page asks.
        """
        self.shown, self.store, self.reviewer = shown, store, reviewer
        self.token = secrets.token_urlsafe(32)
        self.ids = [row["id"] for row in shown.data["rows"]]
        self._known = frozenset(self.ids)
        self._decoder, self._lock = Decoder(), Lock()
        self._clips: OrderedDict[str, bytes] = OrderedDict()
        # Starting the decoder takes seconds on a busy machine: not when the first row is played.
        self._warm = Thread(target=self._warm_up, daemon=True)
        super().__init__((HOST, 0), _Handler)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    @cached_property
    def hosts(self) -> frozenset[str]:
        """What a request may name as its host."""
        return frozenset({f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"})

    def page(self) -> tuple[bytes, str]:
        """The page with the verdicts given so far, and its content security policy."""
        with self._lock:
            if self._warm.ident is None:
                self._warm.start()
        sounds = {
            identity: {"file": f"audio/{number}?token={self.token}", "peaks": None}
            for number, identity in enumerate(self.ids)
            if identity in self.shown.audio
        }
        server = {
            "token": self.token,
            "reviewer": self.reviewer,
            "verdicts": [one.model_dump(mode="json") for one in self._visible()],
        }
        return page({**self.shown.data, "sounds": sounds, "server": server}, self.shown.title)

    def _warm_up(self) -> None:
        first = next((n for n, one in enumerate(self.ids) if one in self.shown.audio), None)
        if first is not None:
            with suppress(Refused):
                self.clip(first)

    def _visible(self) -> list[Verdict]:
        """The verdicts that this reviewer may see: in a blind sample, no other ones."""
        return [
            one
            for one in self.store.verdicts
            if one.id in self._known
            and (one.blind or not self.shown.blind)
            and self.reviewer in ("", one.who)
        ]

    def keep(self, body: bytes) -> None:
        """Keep a verdict that the page sent.

        Raises:
            Refused: it is none, or about a row that is not shown, or cannot be written.
        """
        try:
            one = parse_verdict(body)
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"not a verdict: {error}") from error
        if one.report != self.shown.digest or one.id not in self._known:
            raise Refused(HTTPStatus.BAD_REQUEST, "not about a row that is shown")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        changes: dict[str, Any] = {"at": now, "blind": self.shown.blind}
        if self.reviewer:
            changes["who"] = self.reviewer
        try:
            self.store.add(one.model_copy(update=changes))
        except OSError as error:
            why = f"{self.store.path}: cannot be written ({error.strerror})"
            raise Refused(HTTPStatus.INSUFFICIENT_STORAGE, why) from error

    def clip(self, number: int) -> bytes:
        """The audio of a row as Vorbis in Ogg, checked against what was audited.

        Raises:
            Refused: there is no such row, or its audio cannot be decoded or is another one now.
        """
        identity = self.ids[number] if number < len(self.ids) else ""
        if identity not in self.shown.audio:
            raise Refused(HTTPStatus.NOT_FOUND, "no such audio")
        with self._lock:
            if identity not in self._clips:
                utterance, expected = self.shown.audio[identity]
                try:
                    samples = self._decoder.load(utterance, RATE, expected).samples
                except AudioError as error:
                    raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error
                self._clips[identity] = vorbis(samples)
                if len(self._clips) > KEPT_CLIPS:
                    self._clips.popitem(last=False)
            self._clips.move_to_end(identity)
            return self._clips[identity]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what went wrong; a browser that went away is nothing wrong."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(plain(f"asr: review: {type(error).__name__}: {error}"), file=sys.stderr)

    def server_close(self) -> None:
        """Stop listening, and end the decoder."""
        super().server_close()
        with self._lock:
            self._decoder.stop()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ReviewServer
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"
    server_version = "asr-review"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, or the audio of a row."""
        try:
            self._get()
        except Refused as refused:
            self._refuse(refused)

    def do_POST(self) -> None:
        """A verdict."""
        try:
            self._post()
        except Refused as refused:
            self._refuse(refused)

    def _get(self) -> None:
        address = self._checked()
        self._require_token(parse_qs(address.query).get("token", [""])[0])
        if address.path == "/":
            page, policy = self.server.page()
            headers = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"}
            self._answer(HTTPStatus.OK, page, "text/html; charset=utf-8", headers)
        elif found := _AUDIO.fullmatch(address.path):
            self._send_part(self.server.clip(int(found[1])))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length) or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "how long is it?")
        if int(length) > LONGEST_LINE:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "longer than any verdict")
        # Read whatever comes of it: a connection that is closed before loses the answer.
        body = self.rfile.read(int(length))
        address = self._checked()
        self._require_token(self.headers.get("X-Token", ""))
        if address.path != "/verdicts":
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not JSON")
        self.server.keep(body)
        self._answer(HTTPStatus.NO_CONTENT, b"", None)

    def _checked(self) -> Any:
        """The address of a request that comes from the page itself.

        Raises:
            Refused: it comes from elsewhere.
        """
        if self.headers.get_all("Host", []) not in ([host] for host in self.server.hosts):
            raise Refused(HTTPStatus.FORBIDDEN, "another host")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}:
            raise Refused(HTTPStatus.FORBIDDEN, "another origin")
        if len(self.path) > LONGEST_ADDRESS:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, "too long an address")
        try:
            return urlsplit(self.path)
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "not an address") from error

    def _require_token(self, given: str) -> None:
        if not secrets.compare_digest(given.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "open the address that asr review printed")

    def _send_part(self, sound: bytes) -> None:
        """The audio, or the range of it that was asked for, so that a browser can seek."""
        kind, headers = "audio/ogg", {"Accept-Ranges": "bytes"}
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None or not (asked[1] or asked[2]):
            self._answer(HTTPStatus.OK, sound, kind, headers)
            return
        size = len(sound)
        if asked[1]:
            first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
        else:
            first, last = max(0, size - int(asked[2])), size - 1
        if first > last:
            headers["Content-Range"] = f"bytes */{size}"
            self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", kind, headers)
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self._answer(HTTPStatus.PARTIAL_CONTENT, sound[first : last + 1], kind, headers)

    def _refuse(self, refused: Refused) -> None:
        self._answer(refused.status, f"{refused}\n".encode(), "text/plain; charset=utf-8")

    def _answer(
        self,
        status: HTTPStatus,
        content: bytes,
        kind: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
        general = {
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            # Browsers else reuse a connection at the very moment that it times out here.
            "Connection": "close",
        }
        for name, value in (general | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is for the reviewer."""
