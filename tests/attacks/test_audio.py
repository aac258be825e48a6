"""Attacks by audio: files that end a decoder, and files that are swapped."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_gate.audit.gate import read_report, require_same_data
from asr_gate.corpus import digests as digests_module
from asr_gate.corpus.audited import AlteredAudio, AuditedAudio
from asr_gate.corpus.digests import Method, digests
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import cache_home
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech import decoding
from asr_gate.corpus.speech.audio import AudioError, load, stored_duration
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.utterance import Utterance
from tests.e2e.asr import ASR, asr_here, report_in
from tests.speech import PROCEED
from tests.train.support import write_corpus, write_report
from tests.train.trainings import SMALL

RATE = 16000


def of(path: Path, **more: object) -> Utterance:
    return Utterance("u", "x", path, path.name, "m:1", **more)  # type: ignore[arg-type]


def wav_header(*, channels: int, rate: int, size: int) -> bytes:
    """A WAV of 16-bit samples that says that it has so many bytes of them."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    riff = b"RIFF" + struct.pack("<I", min(36 + size, 2**32 - 1)) + b"WAVE"
    return riff + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size)


def sparse_wav(path: Path, *, channels: int, rate: int, size: int) -> Path:
    with path.open("wb") as file:
        file.write(wav_header(channels=channels, rate=rate, size=size))
        file.truncate(44 + size)
    return path


def bomb(path: Path) -> Path:
    """A FLAC of 8 channels at 192 kHz: silence, which is small as a file and 250 MB as samples."""
    with soundfile.SoundFile(path, "w", 192_000, 8, format="FLAC") as file:
        for _ in range(41):
            file.write(np.zeros((192_000, 8), np.float32))
    assert path.stat().st_size < 200_000
    return path


def test_a_flac_of_many_channels_is_a_fault_of_its_row(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioError, match="too much to read at once"):
        load(of(bomb(tmp_path / "bomb.flac")), RATE)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, "kilobytes"


@pytest.mark.parametrize(
    ("channels", "rate", "size", "says"),
    [
        (1, 1, 2_000, "1 samples a second"),
        (1, 4_000_000_000 // 2, 2_000, "samples a second"),
        (64, 48_000, 2_000_000_000, "64 channels"),
        (2, 48_000, 2_000_000_000, "too much to read at once|longer than"),
    ],
)
def test_a_wav_of_impossible_numbers_is_a_fault_of_its_row(
    channels: int, rate: int, size: int, says: str, tmp_path: Path
) -> None:
    path = sparse_wav(tmp_path / "a.wav", channels=channels, rate=rate, size=size)
    with pytest.raises(AudioError, match=says):
        load(of(path), RATE)
    stored_duration(of(path))


def test_a_file_that_ends_the_decoder_is_a_fault_of_its_row(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    soundfile.write(good, np.sin(np.arange(RATE) / 10), RATE)
    decoder = Decoder()
    try:
        assert len(decoder.load(of(good), RATE).samples) == RATE
        with pytest.raises(AudioError, match="no such audio file"):
            decoder.load(of(tmp_path / "none.wav"), RATE)
        # What a crash in the library would do, in a process that is there already.
        process = decoder._helper._process
        assert process is not None
        process.terminate()  # as a scheduler asks every process of a job: for the audit alone
        assert len(decoder.load(of(good), RATE).samples) == RATE
        process.kill()  # as the system does that is short of memory
        process.wait(10)
        assert len(decoder.load(of(good), RATE).samples) == RATE
        process = decoder._helper._process
        assert process is not None
        process.send_signal(signal.SIGABRT)
        process.wait(10)
        with pytest.raises(AudioError, match="it ended the decoder"):
            decoder.load(of(good), RATE)
        np.testing.assert_array_equal(
            decoder.load(of(good), RATE).samples, load(of(good), RATE).samples
        )
    finally:
        decoder.stop()


def test_a_length_is_read_by_the_decoder_too(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    soundfile.write(good, np.zeros(RATE), RATE)
    decoder = Decoder()
    try:
        assert decoder.stored_duration(of(good)) == stored_duration(of(good)) == 1.0
        assert decoder.stored_duration(of(tmp_path / "none.wav")) is None
        assert decoder._helper._process is not None
        decoder._helper._process.send_signal(signal.SIGABRT)
        decoder._helper._process.wait(10)
        assert decoder.stored_duration(of(good)) is None
        assert decoder.stored_duration(of(good)) == 1.0
    finally:
        decoder.stop()


@pytest.mark.parametrize("method", ["full", "sampled"])
def test_audio_that_is_swapped_during_the_audit_is_a_fault_of_its_row(
    method: Method, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(RATE) / 10), RATE)
    expected = digests([path], method, cached=False)[path], method
    decoder = Decoder()
    try:
        assert len(decoder.load(of(path), RATE, expected).samples) == RATE
        soundfile.write(path, np.cos(np.arange(RATE) / 10), RATE)
        with pytest.raises(AudioError, match="changed since the audit began"):
            decoder.load(of(path), RATE, expected)
        assert len(decoder.load(of(path), RATE).samples) == RATE
    finally:
        decoder.stop()


def test_a_file_that_takes_for_ever_is_a_fault_of_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "PATIENCE", 0.5)
    monkeypatch.setattr(decoding, "_RUN", "import time; time.sleep(60)")
    decoder = Decoder()
    with pytest.raises(AudioError, match="it took over 0 s"):
        decoder.load(of(tmp_path / "a.wav"), RATE)


LIMITED = """
import resource, sys
from asr_gate.corpus.speech import decoding
decoding.MEMORY = 60_000_000
decoding.serve()
"""


def test_a_decoder_has_a_limit_on_its_memory(tmp_path: Path) -> None:
    """59 million samples are within the bounds; here they are over the memory of the process."""
    path = sparse_wav(tmp_path / "a.wav", channels=1, rate=16_000, size=100_000_000)
    asked = {"rate": RATE, "path": str(path), "name": "a.wav", "bytes": 0, "offset": 0.0,
             "duration": None, "roots": [], "expected": None}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], input=json.dumps(asked).encode() + b"\n",
        capture_output=True, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[0])
    assert "memory" in told["error"], told


PEAK = """import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""
"""Runs a command, and says the most memory that it, or a process of its, had, in kilobytes."""


@pytest.mark.slow
def test_two_hundred_hostile_files_among_good_ones(tmp_path: Path) -> None:
    """Each is a fault with its reason, and the good ones are judged as without them."""
    rows = [json.loads(line) for line in PROCEED.read_text().splitlines()]
    good = []
    for row in rows:
        audio = PROCEED.parent / row["audio_filepath"]
        if audio.is_file() and row["id"].startswith("clean-0") and len(good) < 24:
            good.append({**row, "audio_filepath": str(audio), "domain": "good"})
    folder = tmp_path / "hostile"
    folder.mkdir()
    flac = bomb(folder / "bomb.flac").read_bytes()
    hostile = []
    for n in range(200):
        path = folder / f"{n}.wav"
        kind = n % 5
        if kind == 0:
            path = folder / f"{n}.flac"
            path.write_bytes(flac)
        elif kind == 1:
            sparse_wav(path, channels=1, rate=1, size=2_000 + n)
        elif kind == 2:
            sparse_wav(path, channels=64, rate=48_000, size=2_000_000_000 + 128 * n)
        elif kind == 3:
            path.write_bytes(wav_header(channels=1, rate=RATE, size=2_000_000_000) + bytes([n]))
        else:
            os.mkfifo(path)
        hostile.append(
            {"id": f"h{n}", "audio_filepath": str(path), "text": f"trap {n}", "domain": "bad"}
        )
    settings = ("--all", "--controls", "0", "--no-wandb", "--audio-root", "/")
    found = {}
    for name, lines in (("alone", good), ("among", good + hostile)):
        manifest = tmp_path / f"{name}.jsonl"
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
        policy = tmp_path / "policy.toml"
        policy.write_text('[gate]\naudio = "sampled"\n')
        command = ("audit", manifest, "--name", name, "--policy", policy, *settings)
        if name == "alone":
            done = asr_here(*command, cwd=tmp_path)
        else:
            done = subprocess.run(
                [sys.executable, "-c", PEAK, *ASR, *map(str, command)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            peak = int(done.stdout.splitlines()[-1])
        assert done.returncode in (0, 20), done.stderr
        found[name] = report_in(tmp_path / "reports" / name)
    domains = [found[name]["domain_statistics"]["good"] for name in ("alone", "among")]
    assert domains[0] == domains[1]
    faults = [one for one in found["among"]["findings"] if one["code"] in ("S001", "S002")]
    assert {one["id"] for one in faults} == {row["id"] for row in hostile}
    assert all(one["message"] for one in faults)
    assert peak < 2_000_000, "kilobytes"


# Audio that lies elsewhere


def test_a_manifest_of_absolute_paths_cannot_choose_its_root(tmp_path: Path) -> None:
    private = tmp_path / "private" / "a.wav"
    private.parent.mkdir()
    private.write_bytes(wav_header(channels=1, rate=RATE, size=2000))
    manifest = tmp_path / "repository" / "m.jsonl"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"audio_filepath": str(private), "text": "x"}) + "\n")
    with pytest.raises(UserError, match="--audio-root"):
        read_corpus([manifest])


def test_settings_of_a_repository_cannot_allow_the_whole_disk(tmp_path: Path) -> None:
    inside, outside = "corpus", str(tmp_path.parent)
    for root, refused in (
        (inside, False),
        (outside, True),
        ("/", True),
        ("..", True),
        ("link", True),
    ):
        home = tmp_path / "repository"
        (home / "corpus").mkdir(parents=True, exist_ok=True)
        if root == "link":
            (home / "link").symlink_to("/")
        (home / "asr.toml").write_text(
            f'[corpus]\nmanifests = ["m.jsonl"]\naudio_root = "{root}"\n'
        )
        done = asr_here("audit", "--no-wandb", cwd=home)
        assert ("--audio-root" in done.stderr) == refused, done.stderr
        assert done.returncode == 2


@pytest.mark.parametrize("folder", ["/tmp", "..", "link/x"])
@pytest.mark.parametrize("key", ["reports", "runs"])
def test_settings_of_a_repository_cannot_have_files_written_elsewhere(
    key: str, folder: str, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("/tmp")
    (tmp_path / "asr.toml").write_text(f'[output]\n{key} = "{folder}"\n')
    done = asr_here("audit", "--no-wandb", cwd=tmp_path)
    assert done.returncode == 2
    assert "lies outside of this folder" in done.stderr


# Audio that is swapped


def test_audio_that_is_swapped_after_the_gate_stops_the_training(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "corpus", rows=6)
    report = write_report(tmp_path / "report", manifest)
    corpus = read_corpus([manifest])
    now = require_same_data(read_report(report), "r", corpus, report.parent, cached=False)
    audio = AuditedAudio(now.sounds, now.audio)
    first = corpus.utterances[0]
    assert isinstance(first.audio, Path)
    kept = first.audio.read_bytes()
    assert len(load(first, RATE, audio).samples)
    assert len(load(first, RATE, audio).samples), "the second time by its times"
    other = corpus.utterances[1].audio
    assert isinstance(other, Path)
    swapped = first.audio.with_name("new")
    swapped.write_bytes(other.read_bytes())
    times = first.audio.stat()
    os.utime(swapped, ns=(times.st_atime_ns, times.st_mtime_ns))
    swapped.replace(first.audio)
    with pytest.raises(AlteredAudio, match=f"'{first.id}'.*is not the audio that was audited"):
        load(first, RATE, audio)
    first.audio.write_bytes(kept)
    assert len(load(first, RATE, audio).samples)


@pytest.mark.slow
def test_a_training_stops_at_the_row_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asr_gate.corpus.speech import audio as audio_module
    from asr_gate.train.run import run

    manifest = write_corpus(tmp_path / "corpus", rows=8)
    report = write_report(tmp_path / "report", manifest)
    files = sorted(path for path in manifest.parent.rglob("*") if path.suffix in (".wav", ".flac"))
    opened = []
    real = audio_module.open_audio

    def swap_then_open(utterance: Utterance):
        if not opened:
            for path in files:  # between the gate and the first decoding
                path.write_bytes(files[0].read_bytes() if path != files[0] else b"")
        opened.append(utterance.id)
        return real(utterance)

    monkeypatch.setattr(audio_module, "open_audio", swap_then_open)
    monkeypatch.setattr("asr_gate.train.data.rows.stored_duration", lambda u: u.duration or 1.0)
    with pytest.raises(AlteredAudio) as stopped:
        run(
            "round2-tiny", data=[manifest], report=str(report), out=tmp_path / "run",
            overrides=[*SMALL], tracking={"enabled": False},
        )  # fmt: skip
    assert stopped.value.exit_code == 30
    assert "is not the audio that was audited" in str(stopped.value)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["status"] == "failed"


@pytest.mark.parametrize("how", ["writable by all", "a link"])
def test_a_digest_cache_that_others_can_write_is_not_used(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"what is there now")
    os.utime(audio, (1, 1))
    true = digests([audio], "full")[audio]
    cache = cache_home() / "audio-digests.sqlite3"
    connection = digests_module._open()
    found = digests_module._stamp(audio)
    assert found is not None
    with connection:
        connection.execute(
            "insert or replace into digests values (?, ?, ?, ?, ?, ?, ?)",
            (str(audio), "full", *found, "poisoned"),
        )
    connection.close()
    assert digests([audio], "full", cached=False)[audio] == true
    if how == "a link":
        cache.rename(tmp_path / "theirs.sqlite3")
        cache.symlink_to(tmp_path / "theirs.sqlite3")
    else:
        cache.chmod(0o666)
    assert digests([audio], "full")[audio] == true


def test_in_ci_there_is_no_digest_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    (tmp_path / "a.wav").write_bytes(b"x")
    monkeypatch.setattr(digests_module, "_open", lambda: pytest.fail("it was opened"))
    digests([tmp_path / "a.wav"], "full")


def test_times_are_not_believed_where_a_memory_map_leaves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or digests_module.trusts_times(shared.stat().st_dev):
        pytest.skip("no tmpfs at /dev/shm")
    monkeypatch.setattr(digests_module, "MIN_AGE", 0.0)
    written = []
    real = digests_module._open
    monkeypatch.setattr(digests_module, "_open", lambda: written.append(1) or real())
    path = shared / f"asr-gate-test-{os.getpid()}"
    try:
        path.write_bytes(b"one")
        first = digests([path], "full")[path]
        written.clear()
        path.write_bytes(b"two")
        assert digests([path], "full")[path] != first
        assert len(written) == 1, "it was looked up, and nothing was kept"
    finally:
        path.unlink(missing_ok=True)


# Paths


def test_a_link_that_is_swapped_after_the_check_leads_nowhere(tmp_path: Path) -> None:
    inside, outside = tmp_path / "corpus", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    soundfile.write(inside / "real.wav", np.zeros(RATE), RATE)
    soundfile.write(outside / "secret.wav", np.zeros(RATE), RATE)
    (inside / "a.wav").symlink_to("real.wav")
    manifest = inside / "m.jsonl"
    manifest.write_text('{"audio_filepath": "a.wav", "text": "x"}\n')
    (utterance,) = read_corpus([manifest]).utterances
    assert len(load(utterance, RATE).samples)
    (inside / "a.wav").unlink()
    (inside / "a.wav").symlink_to(outside / "secret.wav")
    with pytest.raises(AudioError, match="leaves the corpus root"):
        load(utterance, RATE)
    assert stored_duration(utterance) is None


def test_twenty_thousand_equal_ids_take_no_square_of_their_number(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    row = '{"id": "same", "audio_filepath": "a.wav", "text": "x"}\n'
    manifest.write_text(row * 20_000)
    corpus = read_corpus([manifest])
    assert len({u.id for u in corpus.utterances}) == 20_000
    assert corpus.utterances[-1].id == "same#20000"


@pytest.mark.parametrize(
    "files",
    [
        '"http://127.0.0.1:9/x.csv"',
        '"../secret.csv"',
        '"/etc/passwd"',
        '[{split: train, path: "a/../../secret.csv"}]',
    ],
)
def test_the_card_of_a_dataset_cannot_name_data_elsewhere(files: str, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("audio,text\nx.wav,secret\n")
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n"
    )
    with pytest.raises(UserError, match="lies outside of the folder"):
        read_corpus([folder])


def test_the_digest_of_a_model_covers_what_lies_beside_it(tmp_path: Path) -> None:
    """Tensors of a large ONNX model are in files of their own."""
    from asr_gate.audit.acoustic.nemo import _others
    from asr_gate.audit.acoustic.weights import sha256_of_files

    weights, settings = tmp_path / "model.onnx", tmp_path / "model_config.yaml"
    for path in (weights, settings, tmp_path / "tensors" / "0.bin"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")

    def digest() -> str:
        return sha256_of_files([weights, settings, *_others(tmp_path, weights, settings)])

    before = digest()
    (tmp_path / "tensors" / "0.bin").write_bytes(b"y")
    assert digest() != before


@pytest.mark.parametrize("text", ["@maintainers", "https://evil.example/x", "www.evil.example"])
def test_a_transcript_makes_no_link_and_no_mention(text: str) -> None:
    from asr_gate.audit.report.markdown_text import escape

    shown = escape(f"ten words {text} here")
    assert text not in shown
    assert shown.replace("\u2060", "").replace("\\", "") == f"ten words {text} here"
