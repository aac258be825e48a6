"""`asr review`'s server: what it answers, and what it refuses."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_gate.audit.gate import NoVerdict
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.review.server import ReviewServer
from asr_gate.audit.review.shown import shown
from asr_gate.audit.review.store import ReviewFile
from asr_gate.audit.review.verdicts import LONGEST_LINE, REVIEW_FILE, read_verdicts
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from tests.audit.review.audits import FLAGGED, RATE, write_audit
from tests.audit.review.verdicts import fields, verdict


@dataclass
class Client:
    """A browser of whoever."""

    server: ReviewServer
    folder: Path

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        named = {"Host": f"127.0.0.1:{self.server.server_port}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named = {"Content-Length": str(len(body)), "Content-Type": "application/json"} | named
        for name, value in named.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self.ask("GET", f"{path}?token={self.server.token}", **headers)

    def data(self) -> Any:
        page = self.get("/")[2].decode()
        found = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)
        assert found is not None
        return json.loads(found[1])

    def give(self, identity: str, word: str = "right", **changes: Any) -> int:
        headers = {"X_Token": changes.pop("token", self.server.token)}
        one = fields(identity, word, **{"report": self.server.shown.digest, **changes})
        return self.ask("POST", "/verdicts", json.dumps(one).encode(), **headers)[0]


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_audit(tmp_path_factory.mktemp("review"))


def served(folder: Path, reviewer: str = "", **options: Any) -> Iterator[Client]:
    corpus = read_corpus([folder.parents[1] / "train.jsonl"])
    rows = shown(folder, corpus, Data(corpus.manifests), **options)
    store = ReviewFile(folder, rows.digest)
    with ReviewServer(rows, store, reviewer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Client(server, folder)
        server.shutdown()
        thread.join()
    store.close()


@pytest.fixture
def client(audit: Path) -> Iterator[Client]:
    (audit / REVIEW_FILE).unlink(missing_ok=True)
    yield from served(audit)


def test_the_page_has_the_rows_and_a_strict_policy(client: Client) -> None:
    status, headers, _ = client.get("/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert {row["id"] for row in client.data()["rows"]} == set(FLAGGED)


def test_audio_is_sent_whole_and_in_parts(client: Client) -> None:
    status, headers, sound = client.get("/audio/0")
    assert (status, headers["Content-Type"], sound[:4]) == (200, "audio/ogg", b"OggS")
    size = len(sound)
    for asked, expected in (
        ("bytes=0-9", sound[:10]),
        (f"bytes={size - 5}-", sound[-5:]),
        ("bytes=-7", sound[-7:]),
        (f"bytes=10-{size * 2}", sound[10:]),
    ):
        status, headers, part = client.get("/audio/0", Range=asked)
        assert (status, part) == (206, expected)
        assert headers["Content-Range"].endswith(f"/{size}")
    assert client.get("/audio/0", Range=f"bytes={size}-")[0] == 416
    assert client.get("/audio/0", Range="bytes=5-4")[0] == 416
    assert client.get("/audio/0", Range="lines=1-2")[2] == sound


def test_only_rows_that_are_shown_have_audio_and_nothing_else_is_there(client: Client) -> None:
    inside = ("99", "-1", "", "../train.jsonl", "u00.wav")
    outside = ("alignment_report.json", "review.jsonl", "../../etc/passwd", "/etc/passwd", "x")
    for path in (*(f"/audio/{name}" for name in inside), *(f"/{name}" for name in outside)):
        assert client.get(path)[0] == 404, path


def test_without_the_token_there_is_nothing(client: Client) -> None:
    for path in ("/", "/audio/0", "/?token=", "/?token=x", f"/?token={client.server.token}x"):
        status, _, body = client.ask("GET", path)
        assert (status, b"u00" in body) == (403, False), path
    assert client.give("u00", token="") == 403
    assert client.give("u00", token="\xff" * 43) == 403
    path = f"/verdicts?token={client.server.token}"
    assert client.ask("POST", path, b"{}")[0] == 403, "in the address it is no header"
    assert not client.server.store.verdicts


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
    ],
    ids=str,
)
def test_other_hosts_and_origins_are_refused(client: Client, headers: dict[str, str]) -> None:
    port = client.server.server_port
    named = {name: value.format(port=port) for name, value in headers.items()}
    assert client.get("/", **named)[0] == 403
    body = json.dumps(fields("u00", report=client.server.shown.digest)).encode()
    assert client.ask("POST", "/verdicts", body, X_Token=client.server.token, **named)[0] == 403
    assert client.get("/", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


def test_verdicts_are_on_the_disk_at_once_and_shown_again(client: Client) -> None:
    assert client.give("u00", "wrong", who="Dana", at="2020-01-01T00:00:00Z") == 204
    (one,) = read_verdicts(client.folder / REVIEW_FILE)
    assert (one.id, one.verdict, one.who, one.blind) == ("u00", "wrong", "Dana", False)
    assert one.at > "2026", "by this machine's clock"
    assert client.data()["server"]["verdicts"][0]["id"] == "u00"


@pytest.mark.parametrize(
    "changes",
    [{"identity": "u19"}, {"word": "fine"}, {"report": "sha256:" + "1" * 64}, {"x": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_no_verdict_is_refused(client: Client, changes: dict[str, Any]) -> None:
    assert client.give(**{"identity": "u00", **changes}) == 400
    assert not client.server.store.verdicts


def test_bodies_are_bounded_and_json(client: Client) -> None:
    token = client.server.token

    def post(body: bytes | None = None, **headers: str) -> int:
        return client.ask("POST", "/verdicts", body, X_Token=token, **headers)[0]

    assert post(Content_Length=str(LONGEST_LINE + 1)) == 413
    assert post() == 411
    assert post(Content_Length="-1") == 411
    assert post(Transfer_Encoding="chunked", Content_Length="2") == 411
    assert post(b"{}", Content_Type="text/plain") == 415
    assert post(b"[" * 100_000) == 400
    assert client.get("/" + "a" * 5000)[0] == 414
    assert client.ask("PUT", "/verdicts", b"")[0] == 501


def test_half_a_request_ends_nothing(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.server.server_port)) as there:
        there.sendall(b"GET / HTTP/1.1\r\nHost")
        assert client.give("u00") == 204


def test_a_blind_sample_shows_nothing_that_was_found(audit: Path) -> None:
    (audit / REVIEW_FILE).unlink(missing_ok=True)
    for client in served(audit, "Dana", sample=10, seed=3):
        data = client.data()
        assert data["blind"] and len(data["rows"]) == 10
        assert len({row["id"] for row in data["rows"]} & set(FLAGGED)) == 4
        assert "decision" not in data and not any(row["findings"] for row in data["rows"])
        assert not any("quality" in row or "coverage" in row for row in data["rows"])
        ids = [row["id"] for row in data["rows"]]
        assert client.give(ids[0], who="Ali") == 204
        assert client.server.store.verdicts[0].blind
        assert client.server.store.verdicts[0].who == "Dana"
    for client in served(audit, "Ali", sample=10, seed=3):
        assert [row["id"] for row in client.data()["rows"]] == ids, "the same in the same order"
        assert client.data()["server"]["verdicts"] == [], "of others they see nothing"


def test_one_review_at_a_time(client: Client) -> None:
    with pytest.raises(UserError, match="another asr review"):
        ReviewFile(client.folder, client.server.shown.digest)


def test_half_a_line_of_a_crash_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / REVIEW_FILE
    one = verdict("u00")
    path.write_bytes(one.line() + one.line()[:30])
    store = ReviewFile(tmp_path, one.report)
    store.add(verdict("u01"))
    store.close()
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    ReviewFile(tmp_path, one.report).close()
    assert [found.id for found in read_verdicts(path)] == ["u00", "u01"]


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / REVIEW_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"review\.jsonl"):
        ReviewFile(tmp_path, "sha256:0")
    assert not (tmp_path / "elsewhere").exists()


def test_other_audio_than_was_audited_is_not_served(tmp_path: Path) -> None:
    folder = write_audit(tmp_path)
    other = np.zeros(RATE, np.float32)
    for client in served(folder):
        soundfile.write(tmp_path / "u00.wav", other, RATE)
        row = [one["id"] for one in client.data()["rows"]].index("u00")
        assert client.get(f"/audio/{row}")[0] == 404
    corpus = read_corpus([tmp_path / "train.jsonl"])
    with pytest.raises(NoVerdict, match="other data"):
        shown(folder, corpus, Data(corpus.manifests))
