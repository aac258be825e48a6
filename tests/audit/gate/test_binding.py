"""A report is relied on only whole, for its data, under its policy, in time, signed if asked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from asr_gate.audit.gate import NoVerdict, read_report, require_same_data, verify
from asr_gate.audit.gate.signature import sign
from asr_gate.audit.policy import load_policy
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from tests.train.support import write_report


@pytest.fixture
def report(manifest: Path, tmp_path: Path) -> Path:
    return write_report(tmp_path / "report", manifest)


def changed(path: Path, **changes: object) -> None:
    """The report, saying something else, whole."""
    path.write_bytes(read_report(path).model_copy(update=changes).sealed().to_bytes())


def test_every_single_byte_counts(
    report: Path, record_property: Callable[[str, object], None]
) -> None:
    content = report.read_bytes()
    refused = 0
    for place in range(len(content)):
        altered = bytearray(content)
        altered[place] ^= 1
        report.write_bytes(altered)
        with pytest.raises(NoVerdict):
            read_report(report)
        refused += 1
    for altered in (content[:-1], content + b"\n", content.replace(b": ", b":", 1)):
        report.write_bytes(altered)
        with pytest.raises(NoVerdict):
            read_report(report)
    record_property("single-byte changes of a report, all refused", refused)
    assert refused == len(content)
    report.write_bytes(content)
    assert read_report(report).decision == "PROCEED"


def rewrite(manifest: Path, number: int, **fields: object) -> None:
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[number] |= fields
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_changed_transcript_and_swapped_recording_is_named(
    manifest: Path, report: Path
) -> None:
    found = read_report(report)
    lines = manifest.read_text().splitlines()

    def refusal() -> str:
        with pytest.raises(NoVerdict) as caught:
            require_same_data(found, "r", read_corpus([manifest]), report.parent)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    require_same_data(found, "r", read_corpus([manifest]), report.parent)
    for number, line in enumerate(lines):
        row = json.loads(line)
        rewrite(manifest, number, text=row["text"] + "?")
        said = refusal()
        assert f"corpus.jsonl:{number + 1} '{row['id']}' text changed" in said
        manifest.write_text("\n".join(lines) + "\n")
        audio = manifest.parent / row["audio_filepath"]
        stored = audio.read_bytes()
        other = manifest.parent / json.loads(lines[number - 1])["audio_filepath"]
        shutil.copyfile(other, audio)
        assert f"'{row['id']}' audio changed" in refusal()
        audio.unlink()
        assert f"'{row['id']}' audio is missing" in refusal()
        audio.write_bytes(stored)
    rewrite(manifest, 0, offset=0.1, domain="other")
    assert "segment and labels changed" in refusal()
    manifest.write_text("\n".join(lines[1:]) + "\n")
    assert f"'{json.loads(lines[0])['id']}' removed" in refusal()
    more = json.loads(lines[0]) | {"id": "new"}
    manifest.write_text("\n".join([*lines, json.dumps(more)]) + "\n")
    assert "'new' added" in refusal()
    # Without its table of rows the report still refuses; it can only not say why.
    (report.parent / "rows.jsonl").unlink()
    assert "fingerprint sha256:" in refusal()


def test_only_a_report_of_this_policy_passes(report: Path, tmp_path: Path) -> None:
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    changed(report, policy=load_policy().model_dump(mode="json"), created_at=old)
    assert verify(report, "r", policy=load_policy()).decision == "PROCEED"
    file = tmp_path / "p.toml"
    file.write_text("[decision]\nstop_above = 12\n")
    with pytest.raises(NoVerdict, match=r"decision.stop_above was 15.0, is 12.0"):
        verify(report, "r", policy=load_policy(file))
    file.write_text("[gate]\nmax_age_days = 1\n")
    with pytest.raises(NoVerdict, match=f"too old: made {old[:10]}"):
        verify(report, "r", policy=load_policy(file))
    file.write_text("[gate]\nrequire_signature = true\n")
    with pytest.raises(NoVerdict, match=r"must be signed \(gate.require_signature\)"):
        verify(report, "r", policy=load_policy(file))


def test_the_report_s_own_policy_asks_where_no_other_is_given(report: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("[gate]\nmax_age_days = 30\n")
    own = load_policy(file).model_dump(mode="json")
    now = datetime.now(UTC)
    for days, stale in ((29, False), (31, True), (-2, True)):
        changed(report, policy=own, created_at=(now - timedelta(days=days)).isoformat())
        if stale:
            with pytest.raises(NoVerdict, match=r"too old|in the future"):
                verify(report, "r")
        else:
            verify(report, "r")
    changed(report, policy=own, created_at="yesterday")
    with pytest.raises(NoVerdict, match="does not say when"):
        verify(report, "r")


def test_blocks_of_the_audio_do_not_do_where_all_of_it_is_asked(
    manifest: Path, tmp_path: Path
) -> None:
    path = write_report(tmp_path / "report", manifest)
    dataset = read_report(path).dataset
    sampled = load_policy().model_dump(mode="json")
    sampled["gate"]["audio"] = "sampled"
    changed(
        path,
        dataset=dataset.model_copy(update={"fingerprint_audio": "sampled"}),
        policy=sampled,
    )
    assert verify(path, "r").decision == "PROCEED"
    with pytest.raises(NoVerdict, match=r"gate\.audio asks for every byte"):
        verify(path, "r", policy=load_policy())


def test_pipes_are_not_waited_for(report: Path, manifest: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    folder = report.parent
    (folder / "rows.jsonl").unlink()
    for name in ("rows.jsonl", "alignment_report.intoto.jsonl"):
        os.mkfifo(folder / name)
    os.mkfifo(tmp_path / "key")
    rewrite(manifest, 0, text="another")
    found = read_report(report)
    with pytest.raises(NoVerdict, match=r"rows\.jsonl: cannot be read \(not a regular file\)"):
        require_same_data(found, "r", read_corpus([manifest]), folder)
    with pytest.raises(NoVerdict):
        verify(report, "r", verify_key=public)
    with pytest.raises(UserError, match="not a regular file"):
        verify(report, "r", verify_key=tmp_path / "key")
    assert private.is_file()


def write_keys(
    folder: Path,
    name: str = "key",
    encryption: KeySerializationEncryption | None = None,
) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_a_signature_is_one_key_s_for_one_report(
    report: Path, manifest: Path, tmp_path: Path
) -> None:
    private, public = write_keys(tmp_path)
    _, stranger = write_keys(tmp_path, "stranger")
    with pytest.raises(NoVerdict, match="not signed"):
        verify(report, "r", verify_key=public)
    written = sign(read_report(report), report.parent, private)
    assert verify(report, "r", verify_key=public).decision == "PROCEED"
    with pytest.raises(NoVerdict, match="not a signature by"):
        verify(report, "r", verify_key=stranger)
    statement = written.read_bytes()
    for place in range(0, len(statement), 7):
        altered = bytearray(statement)
        altered[place] ^= 1
        written.write_bytes(altered)
        try:
            verify(report, "r", verify_key=public)
        except NoVerdict:
            continue
        # What is left is a spelling of the same envelope: nothing that is signed changed.
        assert json.loads(altered)["payload"] == json.loads(statement)["payload"]
    written.write_bytes(b"[]")
    with pytest.raises(NoVerdict, match="not a signature by"):
        verify(report, "r", verify_key=public)
    written.write_bytes(statement)
    changed(report, decision="STOP")
    with pytest.raises(NoVerdict, match="for another report"):
        verify(report, "r", verify_key=public)


def test_the_statement_is_in_toto_s(report: Path, tmp_path: Path) -> None:
    import base64
    import hashlib

    private, _ = write_keys(tmp_path)
    envelope = json.loads(sign(read_report(report), report.parent, private).read_text())
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [
        {
            "name": "alignment_report.json",
            "digest": {"sha256": hashlib.sha256(report.read_bytes()).hexdigest()},
        }
    ]
    assert statement["predicate"]["result"] == "PASSED"


def test_keys_of_other_kinds_are_one_line(report: Path, tmp_path: Path) -> None:
    found = read_report(report)
    other = tmp_path / "ec.pem"
    ec = generate_private_key(SECP256R1())
    other.write_bytes(ec.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    secret, public = write_keys(tmp_path, "secret", BestAvailableEncryption(b"x"))
    empty = tmp_path / "empty.pem"
    empty.touch()
    for key, says in (
        (other, "not an Ed25519 key"),
        (secret, "passphrase"),
        (public, "not a private key"),
        (empty, "not a private key"),
        (tmp_path / "no.pem", "cannot be read"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(UserError, match=says) as caught:
            sign(found, report.parent, key)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 2
    for key in (secret, empty, tmp_path / "no.pub"):
        with pytest.raises(UserError):
            verify(report, "r", verify_key=key)
