"""Corpora in a store: the same as on disk, whatever fails on the way, and nothing else is asked."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from fsspec.implementations.http import HTTPFileSystem

from asr_gate.api import CautionNotAccepted, audit_corpus, load_report, verify
from asr_gate.audit.report.destination import destination
from asr_gate.cli.main import group
from asr_gate.corpus import collected, objects, storage
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.mirror import named
from asr_gate.corpus.objects import RemoteAudio
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.rows import Rows
from asr_gate.corpus.speech.audio import AudioError, load, stored_duration
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.storage import ObjectChanged, StorageError, Version, url_of
from asr_gate.corpus.utterance import Corpus
from bench.stores import BUCKET, Store
from tests.corpus.anew import begin_anew
from tests.corpus.tars import cuts, shards

EXAMPLE = Path(__file__).parents[2] / "audit" / "example"
URL = f"s3://{BUCKET}/home"


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    with Store().running() as store:
        yield store


@pytest.fixture
def store(server: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The server with an empty bucket, asked by a process that begins anew."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hidden-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(storage, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(storage, "READ_TIMEOUT", 3.0)
    begin_anew()
    call("create_bucket")
    server.asked.clear()
    server.faults.clear()
    yield server
    server.faults.clear()
    for one in call("list_objects_v2").get("Contents", ()):
        call("delete_object", Key=one["Key"])
    begin_anew()


def call(method: str, **values: Any) -> Any:
    """Ask S3 itself."""
    return storage._tried(URL, lambda: storage._store(URL).call_s3(method, Bucket=BUCKET, **values))


def put(folder: Path, url: str = URL) -> None:
    """Put the files of a folder into the store."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            storage.write(storage.joined(url, str(path.relative_to(folder))), path.read_bytes())


def rows(names: list[str]) -> list[dict[str, Any]]:
    return [
        {"audio_filepath": name, "text": f"text of {number}"} for number, name in enumerate(names)
    ]


def origins(corpus: Corpus) -> list[str]:
    """Where the rows stand, relative to their manifests."""
    return [corpus.relative_origin(row.origin) for row in corpus.utterances]


def manifest(folder: Path, some: list[dict[str, Any]]) -> Path:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in some))
    return path


@pytest.fixture
def corpus(folder: Path, store: Store) -> Path:
    """A manifest on disk, whose folder lies at `URL` too; the last of its files is nowhere."""
    path = manifest(folder, rows([f"audio/{n}.wav" for n in range(5)]))
    put(folder)
    store.asked.clear()
    return path


def test_a_corpus_in_a_store_is_the_one_on_disk_whatever_fails(
    corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.faults = {
        "HEAD /corpora/home/train.jsonl": ["500", "503"],
        "GET /corpora/home/train.jsonl": ["cut"],
        "GET /corpora/home/audio/0.wav": ["500", "cut", "500"],
        "GET /corpora/home/audio/1.wav": ["slow"],
        "HEAD /corpora/home/audio/2.wav": ["slow", "500"],
    }
    here, there = read_corpus([corpus]), read_corpus([f"{URL}/train.jsonl"])
    assert there.manifests == [f"{URL}/train.jsonl"]
    assert origins(there) == origins(here)
    one, other = fingerprint(here), fingerprint(there)
    assert (other.digest, other.rows, other.sounds) == (one.digest, one.rows, one.sounds)
    assert other.taken_from == {"bytes": 5}
    assert not any(store.faults.values())
    assert store.asked.count("GET /corpora/home/audio/3.wav") == 1
    blocks = fingerprint(here, audio="sampled").digest
    assert fingerprint(there, audio="sampled").digest == blocks
    monkeypatch.setattr(objects, "WHOLE", 1000)
    assert fingerprint(there, audio="sampled").digest == blocks
    assert store.asked.count("GET /corpora/home/audio/3.wav") == 21  # of each block
    for mine, theirs in zip(here.utterances[:4], there.utterances, strict=False):
        assert np.array_equal(load(mine, 8000).samples, load(theirs, 8000).samples)
    said = []
    for row in (here.utterances[4], there.utterances[4]):
        with pytest.raises(AudioError) as caught:
            load(row, 8000)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_an_audit_of_the_store_equals_the_local_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    some = [json.loads(line) for line in (EXAMPLE / "proceed.jsonl").open()][:6]
    # Rows in columns on disk, and lengths that only headers tell.
    monkeypatch.setattr(collected, "IN_MEMORY", 4)
    some[0].pop("duration", None)
    for row in some:
        (home / row["audio_filepath"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLE / row["audio_filepath"], home / row["audio_filepath"])
    local = manifest(home, some)
    put(home)
    for number, row in enumerate(some):
        store.faults[f"GET /corpora/home/{row['audio_filepath']}"] = [["500", "cut"][number % 2]]
    monkeypatch.chdir(tmp_path)
    Path("more.txt").write_text("a text of nobody\n")
    storage.write(f"{URL}/more.txt", Path("more.txt"))
    given: Any = {"fraction": 1.0, "controls": 0, "page_audio": False, "texts": [f"{URL}/more.txt"]}
    here = audit_corpus(local, out="local", **given)
    # A store that takes no more: the report stays on disk.
    words = "PUT /corpora/home/reports/phase0/words.parquet"
    store.faults[words] = ["403"]
    with pytest.raises(UserError, match=r"words\.parquet: no permission to write it") as caught:
        audit_corpus(f"{URL}/train.jsonl", out=f"{URL}/reports", **given)
    finished = Path(str(caught.value).partition("lies in ")[2].partition(": ")[0])
    assert load_report(finished).content.digest == here.content.digest
    store.faults[words] = ["500"]
    there = audit_corpus(f"{URL}/train.jsonl", out=f"{URL}/reports", **given)
    assert there.content.digest == here.content.digest
    assert there.content.pairing.files[0].file == f"{URL}/more.txt"
    assert there.content.dataset.fingerprint_from == {"bytes": 6}
    assert not any(store.faults.values()) and not finished.exists()
    audit = f"{URL}/reports/phase0"
    names = storage.listed(audit, 99)
    written = {name: RemoteAudio(url).read() for name, url in names.items() if url}
    assert {*written} == {one.name for one in Path("local/phase0").iterdir()}
    assert not any(b"hidden-secret" in content for content in written.values())
    assert audit.encode() in written["report.html"]
    put_last = [line for line in store.asked if line.startswith("PUT")][-1]
    assert put_last.endswith("/alignment_report.json")
    kept = [json.loads(line) for line in written["clean.jsonl"].splitlines()]
    assert all(row["audio_filepath"].startswith(f"{URL}/") for row in kept)
    Path("clean.jsonl").write_bytes(written["clean.jsonl"])
    again = read_corpus(["clean.jsonl"], audio_root=Path(URL))
    assert all(isinstance(u.audio, RemoteAudio) for u in again.utterances)
    # Whoever reads a report finds it there.
    assert there.utterances.shape[0] == 6
    with pytest.raises(CautionNotAccepted, match=rf"^{audit}: CAUTION"):
        verify(audit)
    gate = CliRunner().invoke(group, ["gate", audit, "--data", str(local), "--accept-caution"])
    assert (gate.exit_code, gate.output.partition(": ")[0]) == (0, audit)
    listed = CliRunner().invoke(group, ["findings", f"{audit}/alignment_report.json", "--json"])
    assert (listed.exit_code, json.loads(listed.output)) == (0, [])
    with pytest.raises(UserError, match="asr review writes beside the report") as caught:
        CliRunner().invoke(group, ["review", audit], catch_exceptions=False, standalone_mode=False)
    assert named(str(caught.value)).startswith(f"{audit}: ")
    # Another one takes its place, and it goes into the history.
    place = destination(Path(f"{URL}/reports"), "phase0")
    shutil.copytree("local/phase0", place.folder)
    place.upload()
    assert load_report(audit).content.seal == here.content.seal
    (when,) = storage.listed(f"{audit}/history", 9)
    assert load_report(f"{audit}/history/{when}").content.seal == there.content.seal
    # What shares measured is there for whoever merges it.
    part = place.folder / "shards" / "part-1.json"
    part.parent.mkdir(parents=True)
    part.write_text("{}")
    place.upload_shards()
    shutil.rmtree(place.folder)
    place.fetch_shards()
    assert part.read_text() == "{}"


def test_a_corpus_on_a_web_server(
    corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = HTTPFileSystem.encode_url
    monkeypatch.setattr(
        HTTPFileSystem,
        "encode_url",
        lambda self, url: encoded(self, url.replace("https:", "http:")),
    )
    base = f"{store.endpoint.replace('http:', 'https:')}/{BUCKET}/home"
    store.faults = {"GET /corpora/home/audio/0.wav": ["500", "cut"]}
    there = read_corpus([f"{base}/train.jsonl"])
    assert fingerprint(there).digest == fingerprint(read_corpus([corpus])).digest
    assert not any(store.faults.values())
    assert stored_duration(there.utterances[3]) == 1.0
    begin_anew()
    there = read_corpus([f"{base}/train.jsonl"])
    assert isinstance(there.utterances[0].audio, RemoteAudio)
    storage.version_of(there.utterances[0].audio.url)
    storage.write(f"{URL}/audio/0.wav", (corpus.parent / "audio" / "1.wav").read_bytes())
    with pytest.raises(ObjectChanged):
        there.utterances[0].audio.read()
    with pytest.raises(StorageError, match=r"dev\.jsonl: there is no such object; check the path"):
        read_corpus([f"{base}/dev.jsonl"])
    store.faults = {"/corpora/home/train.jsonl": ["403"] * 2}
    begin_anew()
    with pytest.raises(
        StorageError, match=r"train\.jsonl: no permission to read it; put the login"
    ):
        read_corpus([f"{base}/train.jsonl"])


def test_a_digest_that_the_store_knows_needs_no_bytes(
    corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASR_CACHE_GB", "1")
    begin_anew()
    call(
        "put_object",
        Key="home/audio/0.wav",
        Body=(corpus.parent / "audio" / "0.wav").read_bytes(),
        ChecksumAlgorithm="SHA256",
    )
    there = read_corpus([f"{URL}/train.jsonl"])
    first = fingerprint(there)
    assert first.taken_from == {"bytes": 4, "checksum": 1}
    assert "GET /corpora/home/audio/0.wav" not in store.asked
    assert first.digest == fingerprint(read_corpus([corpus])).digest
    begin_anew()
    store.asked.clear()
    again = fingerprint(read_corpus([f"{URL}/train.jsonl"]))
    assert again.digest == first.digest
    assert again.taken_from == {"bytes": 1, "checksum": 1, "etag": 3}  # one is missing
    assert not [line for line in store.asked if line.startswith("GET") and ".wav" in line]


def test_a_url_without_a_bucket_is_no_folder_here() -> None:
    for name in ("s3://", Path("s3://")):
        with pytest.raises(UserError, match="s3://: names no bucket; write s3://BUCKET/PATH"):
            url_of(name)


def test_what_changes_in_between_is_named(corpus: Path, store: Store) -> None:
    there = read_corpus([f"{URL}/train.jsonl"])
    for row in there.utterances[:2]:
        assert isinstance(row.audio, RemoteAudio)
        storage.version_of(row.audio.url)
    storage.write(f"{URL}/audio/0.wav", b"something else")
    with pytest.raises(ObjectChanged):
        there.utterances[0].audio.read()  # type: ignore[union-attr]
    decoder = Decoder()
    try:
        with pytest.raises(AudioError, match=r"^audio/0\.wav: changed since the audit began"):
            decoder.load(there.utterances[0], 8000)
    finally:
        decoder.stop()
    with pytest.raises(StorageError, match=rf"^{URL}/audio/0\.wav: changed while it was read"):
        fingerprint(there, cached=False)
    # A corpus that is read anew is what it is now.
    assert fingerprint(read_corpus([f"{URL}/train.jsonl"])).digest


def test_what_a_store_refuses_is_one_line(
    corpus: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(url: str) -> str:
        with pytest.raises(UserError) as caught:
            fingerprint(read_corpus([url]))
        assert "\n" not in str(caught.value) and "hidden-secret" not in str(caught.value)
        return str(caught.value)

    good = f"{URL}/train.jsonl"
    assert "there is no bucket 'nowhere-here'" in said("s3://nowhere-here/train.jsonl")
    assert said(f"{URL}/dev.jsonl") == f"{URL}/dev.jsonl: there is no such object; check the path"
    assert "holds no manifest" in said(f"{URL}/audio")
    store.faults = {"GET /corpora/home/audio/1.wav": ["403"]}
    assert said(good).startswith(f"{URL}/audio/1.wav: no permission to read it; set AWS_PROFILE")
    store.faults = {"GET /corpora/home/audio/1.wav": ["500"] * storage.TRIES}
    assert f"{URL}/audio/1.wav: the store does not give it, after 6 tries (500)" in said(good)
    store.faults = {}
    assert "known: s3://" in said("ftp://host/train.jsonl")
    signed = said("https://user:hidden-secret@host/train.jsonl?X-Amz-Signature=abc")
    assert signed.startswith("https://host/train.jsonl: has a password") and "abc" not in signed
    (corpus.parent / "bad.jsonl").write_text("{}\n[\n")
    put(corpus.parent)
    assert said(f"{URL}/bad.jsonl").startswith(f"{URL}/bad.jsonl:1: no audio_filepath")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody}")
    begin_anew()
    assert "check the network and AWS_ENDPOINT_URL" in said(good)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    begin_anew()
    assert "there are no credentials" in said(good)
    # The teardown has to write again.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    begin_anew()


def test_a_manifest_cannot_say_where_audio_is_fetched_from(corpus: Path, store: Store) -> None:
    names = [
        "audio/0.wav",
        f"{URL}/audio/1.wav",
        "../other/secret.wav",
        f"s3://{BUCKET}/other/secret.wav",
        f"{URL}/../other/secret.wav",
        f"{URL}/a\0/etc/table.parquet\0audio\x000",
        "s3://another/secret.wav?X-Amz-Signature=abc",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "/etc/passwd",
    ]
    home = corpus.parent
    manifest(home, rows(names))
    put(home)
    put(home / "audio", f"s3://{BUCKET}/other")
    for one, audible in ((f"{URL}/train.jsonl", 2), (str(corpus), 1)):
        found = read_corpus([one])
        assert len(found.utterances) == audible
        assert not any("abc" in row.reason or "abc" in row.id for row in found.skipped)
        for row in found.utterances:
            assert stored_duration(row) == 1.0
    assert not [line for line in store.asked if "other" in line and not line.startswith("PUT")]
    # Only the user can.
    manifest(home, rows([f"s3://{BUCKET}/other/3.wav"]))
    (only,) = read_corpus([corpus], audio_root=Path(f"s3://{BUCKET}/other")).utterances
    assert (only.id, stored_duration(only)) == ("3.wav", 1.0)


def test_folders_of_manifests(corpus: Path, store: Store) -> None:
    kaldi = corpus.parent
    (kaldi / "wav.scp").write_text("a audio/0.wav\nb audio/1.wav\n")
    (kaldi / "text").write_text("a one\nb two\n")
    corpus.unlink()
    put(kaldi, f"s3://{BUCKET}/kaldi")
    here, there = read_corpus([kaldi]), read_corpus([f"s3://{BUCKET}/kaldi/"])
    assert fingerprint(there).digest == fingerprint(here).digest
    assert there.utterances[0].origin == f"s3://{BUCKET}/kaldi/text:1"


def test_what_was_fetched_first_goes_first_unless_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {f"s3://b/{name}": Version(100, name) for name in "abcde"}
    monkeypatch.setattr(storage, "version_of", versions.__getitem__)
    monkeypatch.setattr(storage, "pieces", lambda url, *span: [url.encode().ljust(100)])
    kept = objects._Objects(tmp_path, 250)
    with kept.held("s3://b/a") as first:
        for name in "bcd":
            with kept.held(f"s3://b/{name}") as path:
                assert path.read_bytes().startswith(f"s3://b/{name}".encode())
        assert first.exists()
        left = [one for one in tmp_path.rglob("*") if one.is_file()]
        assert first in left and len(left) == 2
    with kept.held("s3://b/e"):
        assert not first.exists()


@pytest.mark.parametrize("in_memory", [50_000, 1])
def test_tar_files_and_parquet(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(collected, "IN_MEMORY", in_memory)
    shards(folder)
    cuts(folder)
    sounds = [{"bytes": (folder / "audio" / f"{n}.wav").read_bytes(), "path": None} for n in (0, 1)]
    table = pa.table({"audio": sounds, "text": ["one", "two"]})
    pyarrow.parquet.write_table(table, folder / "train.parquet", row_group_size=1)
    for name in ("shards", "shar"):
        put(folder / name, f"{URL}/{name}")
    storage.write(f"{URL}/train.parquet", (folder / "train.parquet").read_bytes())
    for name in ("shards", "shards/train-000.tar", "shar", "train.parquet"):
        store.faults = {
            "GET /corpora/home/shards/train-000.tar": ["cut"],
            "GET /corpora/home/train.parquet": ["500", "cut"],
        }
        here, there = read_corpus([folder / name]), read_corpus([f"{URL}/{name}"])
        assert isinstance(here.utterances, Rows) == isinstance(there.utterances, Rows)
        assert isinstance(here.utterances, Rows) == (in_memory < len(here.utterances))
        assert origins(there) == origins(here)
        assert fingerprint(there).digest == fingerprint(here).digest
        assert all(stored_duration(row) == 1.0 for row in there.utterances)
    # Of a parquet file, the audio of a group is fetched once, and nothing is fetched for the rows.
    begin_anew()
    store.asked.clear()
    rows_of_it = read_corpus([f"{URL}/train.parquet"]).utterances
    before = len(store.asked)
    for row, sound in zip(rows_of_it, sounds, strict=True):
        assert not isinstance(row.audio, Path) and row.audio.read() == sound["bytes"]
        assert row.audio.read() == sound["bytes"]
    assert store.asked[before:] == ["GET /corpora/home/train.parquet"] * 2
    # Of a tar file that is not kept any more, only what is opened is fetched.
    audio = read_corpus([f"{URL}/shar"]).utterances[1].audio
    for kept in objects.folder_of_copies().glob("??/*"):
        kept.unlink()
    assert not isinstance(audio, Path) and audio.read() == sounds[1]["bytes"]
    assert not list(objects.folder_of_copies().glob("??/*"))
