"""Lhotse, Kaldi, Qwen3-ASR, Common Voice and dataset dictionaries; nothing in them ever runs."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load
from asr_gate.corpus.utterance import Corpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sounds of three seconds, told apart by their levels."""
    (tmp_path / "audio").mkdir()
    for name, level in (("a", 0.1), ("b", 0.2)):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.full(48000, level), 16000)
    return tmp_path


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts a process fails the test."""

    def refuse(*arguments: object, **options: object) -> None:
        pytest.fail(f"a process was started: {arguments}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr("os.system", refuse)
    monkeypatch.setattr("os.popen", refuse)
    monkeypatch.setattr("os.posix_spawn", refuse)


def lines(path: Path, rows: list[Any]) -> Path:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def recording(source: str = "audio/a.wav", **changes: Any) -> dict[str, Any]:
    return {
        "id": Path(source).stem,
        "sources": [{"type": "file", "channels": [0], "source": source}],
        "sampling_rate": 16000,
        "num_samples": 48000,
        "duration": 3.0,
        "channel_ids": [0],
        **changes,
    }


def supervision(id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "recording_id": "a",
        "start": 0.0,
        "duration": 3.0,
        "channel": 0,
        "text": id,
        **changes,
    }


def cut(id: str, *supervisions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "start": 0.0,
        "duration": 3.0,
        "channel": 0,
        "supervisions": list(supervisions),
        "recording": recording(),
        "type": "MonoCut",
        **changes,
    }


def spans(corpus: Corpus) -> dict[str, tuple[float, float | None]]:
    return {u.id: (u.offset, u.duration) for u in corpus.utterances}


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_lhotse_cuts_as_the_library_writes_them(name: str, folder: Path) -> None:
    from lhotse import CutSet, Recording, RecordingSet, SupervisionSegment, SupervisionSet

    audio = RecordingSet.from_recordings(
        Recording.from_file(folder / "audio" / f"{n}.wav") for n in "ab"
    )
    said = SupervisionSet.from_segments(
        [
            SupervisionSegment("s1", "a", 0.1, 1.0, text="one", language="Hebrew", speaker="x"),
            SupervisionSegment("s2", "a", 1.5, 1.0, text="two", custom={"domain": "d"}),
            SupervisionSegment("s3", "b", 0.0, 3.0, text="three", custom={"split": "train"}),
        ]
    )
    cuts = CutSet.from_manifests(recordings=audio, supervisions=said)
    cuts.to_file(folder / name)
    corpus = read_corpus([folder / name])
    assert corpus.skipped == []
    one, two, three = corpus.utterances
    assert [u.text for u in corpus.utterances] == ["one", "two", "three"]
    assert (one.lang, one.speaker, two.domain, three.split) == ("he", "x", "d", "train")
    ids = [c.id for c in cuts]
    assert spans(corpus) == {"s1": (0.1, 1.0), "s2": (1.5, 1.0), ids[1]: (0.0, 3.0)}
    assert one.origin == two.origin == f"{folder / name}:1"
    assert load(two, 16000).duration == 1.0

    cuts.trim_to_supervisions().to_file(folder / name)
    assert list(spans(read_corpus([folder / name])).values()) == [(0.1, 1.0), (1.5, 1.0), (0, 3)]
    shorter = cuts.truncate(max_duration=2.0, offset_type="start")
    shorter.to_file(folder / name)
    found = {u.text: (u.offset, u.duration) for u in read_corpus([folder / name]).utterances}
    assert found == {"one": (0.1, 1.0), "two": (1.5, 0.5), "three": (0.0, 2.0)}


def test_lhotse_recordings_and_supervisions_in_parts(folder: Path) -> None:
    for part, text in (("train", "one"), ("dev", "two")):
        lines(folder / f"he_recordings_{part}.jsonl.gz", [recording()])
        rows = [supervision("s", text=text, start=0.5, duration=1.0, language="Hebrew")]
        lines(folder / f"he_supervisions_{part}.jsonl.gz", rows)
    whole = read_corpus([folder])
    assert [(u.text, u.split) for u in whole.utterances] == [("two", "dev"), ("one", "train")]
    corpus = read_corpus([folder], split="train")
    (one,) = corpus.utterances
    assert (one.text, one.split, one.lang, one.offset, one.duration) == (
        "one", "train", "he", 0.5, 1.0,
    )  # fmt: skip
    assert [(u.text, u.split) for u in corpus.others] == [("two", "dev")]
    with pytest.raises(UserError, match="name the folder of both"):
        read_corpus([folder / "he_supervisions_dev.jsonl.gz"])
    (folder / "he_recordings_dev.jsonl.gz").unlink()
    with pytest.raises(UserError, match="needs its recordings beside it"):
        read_corpus([folder], split="dev")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (cut("x", type="MixedCut"), "a MixedCut is no stretch"),
        (cut("x", supervision("s"), type="MultiCut"), "a MultiCut is no stretch"),
        ({"id": "x", "type": "PaddingCut", "duration": 1.0}, "a PaddingCut is no stretch"),
        (cut("x"), "no supervision"),
        (cut("x", supervision("s"), recording=None), "has no recording"),
        (
            cut("x", supervision("s"), recording=recording(transforms=[{"name": "Speed"}])),
            "is transformed",
        ),
        (
            cut("x", supervision("s"), recording=recording(sources=recording()["sources"] * 2)),
            "put together from 2 sources",
        ),
        *(
            (
                cut(
                    "x",
                    supervision("s"),
                    recording=recording(
                        sources=[{"type": kind, "channels": [0], "source": "touch ran"}]
                    ),
                ),
                f"of type '{kind}'; only files are opened",
            )
            for kind in ("command", "url", "shar", "memory")
        ),
        (
            cut(
                "x",
                supervision("s"),
                recording=recording(
                    sources=[{"type": "file", "channels": [0, 1], "source": "a.wav"}]
                ),
            ),
            "has 2 channels",
        ),
    ],
)
def test_cuts_that_are_no_stretch_of_one_file_are_skipped(
    row: dict[str, Any], says: str, folder: Path, nothing_runs: None
) -> None:
    corpus = read_corpus([lines(folder / "cuts.jsonl", [cut("good", supervision("s")), row])])
    assert [u.id for u in corpus.utterances] == ["good"]
    ((skipped),) = corpus.skipped
    assert skipped.id == "x"
    assert says in skipped.reason
    assert skipped.origin.endswith("cuts.jsonl:2")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (cut("x", supervision("s"), type="Evil"), "type 'Evil' is not a Lhotse cut"),
        (cut("x", supervision("s"), type=[]), "type list is not a Lhotse cut"),
        (cut("x", supervision("s"), surplus=1), "not a Lhotse cut"),
        (cut("x", {"id": "s"}), "not a Lhotse cut"),
        (cut("x", supervision("s", start="soon")), "not a Lhotse cut"),
        (cut("x", supervision("s", text=5)), "text is int"),
        (cut("x", supervision("s", start=5.0)), "is not a length of time"),
        (cut("x", supervision("s"), recording={"sources": []}), "not a Lhotse cut"),
    ],
)
def test_a_malformed_cut_is_named(row: dict[str, Any], says: str, folder: Path) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_corpus([lines(folder / "cuts.jsonl", [cut("good", supervision("s")), row])])
    assert "cuts.jsonl:2" in str(caught.value)


def test_opening_hostile_cuts_runs_nothing(folder: Path, nothing_runs: None) -> None:
    marker = folder / "ran"
    run = f"touch {marker}"
    command = {"type": "command", "channels": [0], "source": run}
    nested = {"id": "n", "sampling_rate": 16000, "sources": [command]}
    reverb = {"name": "ReverbWithImpulseResponse", "kwargs": {"rir": nested}}
    rows = [
        cut("a", supervision("s", custom={"audio": nested}, alignment={"word": [[run]]})),
        cut("b", supervision("s"), custom={"audio": nested, "domain": "d"}),
        cut("c", supervision("s"), recording=recording(sources=[command])),
        cut("d", supervision("s"), recording=recording(f"pipe:{run}")),
        cut("e", supervision("s"), recording=recording(f"{run} |")),
        cut("f", supervision("s"), recording=recording(transforms=[reverb])),
        cut("g", supervision("s"), features={"type": "x", "storage_path": f"pipe:{run}"}),
        cut("h", supervision("s"), recording=recording("https://host/a.wav")),
    ]
    corpus = read_corpus([lines(folder / "cuts.jsonl", rows)])
    assert [row.id for row in corpus.skipped] == ["c", "f", "h"]
    for utterance in corpus.utterances:
        if utterance.id in "de":
            with pytest.raises(UserError, match="no such audio file"):
                load(utterance, 16000)
    with pytest.raises(UserError, match="no such manifest"):
        read_corpus([f"pipe:{run}.jsonl"])
    assert not marker.exists()


def kaldi(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder


def test_a_kaldi_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = kaldi(
        folder / "data",
        wav_scp=f"r1 {folder}/audio/a.wav\nr2\t{folder}/audio/b.wav\n",
        segments="u1 r1 0.5 1.5\nu2 r1 1.5 -1\nu3 r2 0 3\n",
        text="u1 one, two\nu2\u00a0 \u05e9\u05dc\u05d5\u05dd\nu2 three\u00a0four \nu3\n",
        utt2spk="u1 s\nu2 s\nu3 t\n",
        utt2lang="u1 he\nu2 he\n",
        spk2gender="s f\nt m\n",
    )
    corpus = read_corpus([home], audio_root=folder)
    assert [(u.id, u.text, u.speaker, u.lang) for u in corpus.utterances] == [
        ("u1", "one, two", "s", "he"),
        ("u2", "three\u00a0four", "s", "he"),
        ("u3", "", "t", None),
    ]
    assert spans(corpus) == {"u1": (0.5, 1.0), "u2": (1.5, None), "u3": (0.0, 3.0)}
    assert [(row.id, row.reason) for row in corpus.skipped] == [
        ("u2\u00a0", "segments has no line for it")
    ]
    assert corpus.utterances[1].origin == f"{home / 'text'}:3"
    assert load(corpus.utterances[1], 16000).duration == 1.5

    # Without segments an utterance is a recording; relative paths start beside the files, or
    # where the command runs, as with Kaldi's own tools.
    home = kaldi(folder, wav_scp="a audio/a.wav\n", text="a one\n", utt2dur="a 2.5\n")
    (one,) = read_corpus([home]).utterances
    assert (one.duration, one.audio_name) == (2.5, "audio/a.wav")
    assert load(one, 16000).duration == 2.5
    monkeypatch.chdir(folder)
    home = kaldi(folder / "egs", wav_scp="a audio/a.wav\n", text="a one\n")
    assert load(read_corpus([home]).utterances[0], 16000).duration == 3.0


def test_what_a_kaldi_folder_cannot_give_is_skipped(folder: Path, nothing_runs: None) -> None:
    marker = folder / "ran"
    home = kaldi(
        folder,
        wav_scp=f"a audio/a.wav\nb touch {marker} |\nc | touch {marker}\nd x.ark:15\ne -\ng b.wav\n"
        "h ../../etc/passwd\n",
        text="a one\nb two\nc three\nd four\ne five\nf six\nh seven\n",
    )
    corpus = read_corpus([home])
    assert [u.id for u in corpus.utterances] == ["a"]
    reasons = {row.id: row.reason for row in corpus.skipped}
    assert reasons.pop("b") == reasons.pop("c") == "its audio is a command, which is never run"
    assert "is not a file of its own" in reasons.pop("d")
    assert "is not a file of its own" in reasons.pop("e")
    assert reasons.pop("f") == "wav.scp has no recording 'f'"
    assert reasons.pop("g") == "text has no line for it"
    assert "leaves the corpus root" in reasons.pop("h")
    assert reasons == {}
    assert not marker.exists()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"wav_scp": "a audio/a.wav\n"}, "text: missing"),
        ({"wav_scp": "a\n", "text": "a x\n"}, "wav.scp:1: nothing behind the id"),
        ({"wav_scp": "a x.wav\n", "text": "a x\na y\n"}, "text:2: 'a' is there twice"),
        (
            {"wav_scp": "a x.wav\n", "text": "u x\n", "segments": "u a 1\n"},
            "segments:1: UTTERANCE RECORDING START END",
        ),
        (
            {"wav_scp": "a x.wav\n", "text": "u x\n", "segments": "u a 2 1\n"},
            "text:1: duration '-1.0' is not a length",
        ),
        (
            {"wav_scp": "a x.wav\n", "text": "u x\n", "segments": "u a 0 soon\n"},
            "text:1: duration 'soon' is not a number",
        ),
        ({"wav_scp": "a x.wav\n", "text": "a x\n", "utt2dur": "a nan\n"}, "not a length"),
    ],
)
def test_a_malformed_kaldi_folder_is_named(
    files: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        read_corpus([kaldi(tmp_path / "data", **files)])


def test_qwen3_asr_rows_lose_their_language_tag(folder: Path) -> None:
    texts = {
        "language Hebrew<asr_text>\u05e9\u05dc\u05d5\u05dd": ("\u05e9\u05dc\u05d5\u05dd", "he"),
        "language None<asr_text>one": ("one", None),
        "language Klingon<asr_text>\ntwo": ("\ntwo", "Klingon"),
        "language<asr_text>three": ("language<asr_text>three", None),
        "four": ("four", None),
    }
    rows = [{"audio": "audio/a.wav", "text": text} for text in texts]
    corpus = read_corpus([lines(folder / "train.jsonl", rows)])
    assert [(u.text, u.lang) for u in corpus.utterances] == list(texts.values())


@pytest.fixture
def common_voice(folder: Path) -> Path:
    home = folder / "cv"
    (home / "clips").mkdir(parents=True)
    tables = {"train": "a", "test": "b", "validated": "ab", "reported": ""}
    for name in "ab":
        shutil.copy(folder / "audio" / f"{name}.wav", home / "clips")
    for table, names in tables.items():
        head = "client_id\tpath\tsentence\tage\tlocale\n"
        rows = [f'c{name}\t{name}.wav\t"{name}, said\t\the\n' for name in names]
        (home / f"{table}.tsv").write_text(head + "".join(rows), encoding="utf-8")
    return home


def test_common_voice(common_voice: Path) -> None:
    whole = read_corpus([common_voice])  # `validated` holds the clips of both once more
    assert [(u.id, u.split) for u in whole.utterances] == [
        ("clips/a.wav", "train"),
        ("clips/b.wav", "test"),
    ]
    corpus = read_corpus([common_voice], split="train")
    (one,) = corpus.utterances
    assert (one.text, one.speaker, one.lang, one.split) == ('"a, said', "ca", "he", "train")
    assert (one.id, one.audio_name) == ("clips/a.wav", "clips/a.wav")
    assert load(one, 16000).duration == 3.0
    assert [(u.id, u.split) for u in corpus.others] == [("clips/b.wav", "test")]
    # What holds both of the others is neither's other.
    assert read_corpus([common_voice], split="validated").others == []
    named = read_corpus([common_voice / "test.tsv"]).utterances
    assert [(u.id, u.split) for u in named] == [("clips/b.wav", "test")]
    with pytest.raises(UserError, match="no rows of split 'dev'"):
        read_corpus([common_voice / "test.tsv"], split="dev")
    with pytest.raises(UserError, match="no split 'dev'; it has train, test, validated"):
        read_corpus([common_voice], split="dev")


def test_the_other_splits_come_along_as_far_as_they_are_sound(folder: Path) -> None:
    rows = [
        {"audio_filepath": "audio/a.wav", "text": "one", "split": "train"},
        {"audio_filepath": "audio/a.wav", "text": "two", "split": "test"},
        {"audio_filepath": "audio/b.wav", "text": 5, "split": "test"},
        {"audio_filepath": "../b.wav", "text": "x", "split": "test"},
        {"audio_filepath": "audio/b.wav", "text": "three", "split": None},
    ]
    corpus = read_corpus([lines(folder / "m.jsonl", rows)], split="train")
    assert [(u.id, u.split) for u in corpus.utterances] == [("audio/a.wav", "train")]
    assert corpus.skipped == []
    assert [(u.id, u.text, u.split) for u in corpus.others] == [
        ("audio/a.wav#2", "two", "test"),
        ("audio/b.wav", "three", None),
    ]
    rows = [rows[0] | {"split": ["train"]}]
    with pytest.raises(UserError, match="split is list"):
        read_corpus([lines(folder / "m.jsonl", rows)])
    for kind, content in (
        (".csv", "audio_filepath,text,split\naudio/a.wav,x,train\naudio/b.wav,y,dev\n"),
        (".tsv", "audio_filepath\ttext\tsplit\naudio/a.wav\tx\ttrain\naudio/b.wav\ty\tdev\n"),
    ):
        (folder / f"m{kind}").write_text(content)
        corpus = read_corpus([folder / f"m{kind}"], split="dev")
        assert [(u.text, u.split) for u in corpus.utterances] == [("y", "dev")]
        assert [(u.text, u.split) for u in corpus.others] == [("x", "train")]
    rows = [cut(part, supervision(part, custom={"split": part})) for part in ("train", "dev")]
    corpus = read_corpus([lines(folder / "cuts.jsonl", rows)], split="dev")
    assert ([u.id for u in corpus.utterances], [u.id for u in corpus.others]) == (
        ["dev"],
        ["train"],
    )
    with pytest.raises(UserError, match="no column 'split'"):
        read_corpus(
            [kaldi(folder / "data", wav_scp="a audio/a.wav\n", text="a x\n")], split="train"
        )


def test_splits_of_datasets_and_audio_folders(folder: Path) -> None:
    import datasets

    names = [f"{folder}/audio/{name}.wav" for name in "ab"]
    rows = datasets.Dataset.from_dict({"audio": names, "text": ["one", "two"]})
    embedded = rows.cast_column("audio", datasets.Audio())
    pair = datasets.DatasetDict(train=embedded.select([0]), test=embedded.select([1]))
    pair.save_to_disk(str(folder / "pair"))
    corpus = read_corpus([folder / "pair"], split="test")
    assert [(u.text, u.split) for u in corpus.utterances] == [("two", "test")]
    assert [(u.text, u.split) for u in corpus.others] == [("one", "train")]
    assert load(corpus.others[0], 16000).duration == 3.0
    whole = read_corpus([folder / "pair"])
    assert [(u.text, u.split) for u in whole.utterances] == [("one", "train"), ("two", "test")]

    columned = rows.add_column("split", ["train", "dev"])
    columned.save_to_disk(str(folder / "columned"))
    columned.to_parquet(str(folder / "columned.parquet"))
    for source in ("columned", "columned.parquet"):
        corpus = read_corpus([folder / source], split="dev", audio_root=folder)
        assert [(u.text, u.split) for u in corpus.utterances] == [("two", "dev")]
        assert [(u.text, u.split) for u in corpus.others] == [("one", "train")]
    rows.to_parquet(str(folder / "plain.parquet"))
    assert [u.split for u in read_corpus([folder / "plain.parquet"]).utterances] == [None, None]

    for split, name in (("train", "a"), ("dev", "b")):
        home = folder / "set" / split
        home.mkdir(parents=True)
        shutil.copy(folder / "audio" / f"{name}.wav", home)
        (home / "metadata.csv").write_text(f"file_name,text\n{name}.wav,{name}\n")
    corpus = read_corpus([folder / "set"], split="dev")
    assert [(u.text, u.split) for u in corpus.utterances] == [("b", "dev")]
    assert [(u.text, u.split) for u in corpus.others] == [("a", "train")]
    whole = read_corpus([folder / "set"])
    assert [(u.text, u.split) for u in whole.utterances] == [("b", "dev"), ("a", "train")]


def test_no_code_of_a_dataset_ever_runs(folder: Path, nothing_runs: None) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "ran",))

    home = folder / "evil"
    home.mkdir()
    (home / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    (home / "data.pkl").write_bytes(pickle.dumps(Bomb()))
    for source in (home, f"hf:{home}"):
        with pytest.raises(UserError, match="not a dataset that can be read"):
            read_corpus([source])
    import tarfile

    with tarfile.open(home / "data.tar", "w") as archive:
        for name, content in (("0.pyd", pickle.dumps(Bomb())), ("0.txt", b"x")):
            (folder / name).write_bytes(content)
            archive.add(folder / name, name)
    assert not read_corpus([home]).utterances
    saved = folder / "saved"
    import datasets

    datasets.Dataset.from_dict({"audio": ["audio/a.wav"], "text": ["x"]}).save_to_disk(str(saved))
    (saved / "saved.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    info = json.loads((saved / "dataset_info.json").read_text())
    info["features"]["text"] = {
        "_type": "eval",
        "expression": f"open({str(folder / 'ran')!r}, 'w')",
    }
    assert len(read_corpus([saved]).utterances) == 1
    (saved / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="not a dataset that can be read"):
        read_corpus([saved])
    assert not (folder / "ran").exists()


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "m.jsonl.gz", "wb") as stream:
        for _ in range(70):
            stream.write(b" " * 1_000_000)
    with pytest.raises(UserError, match=r"m\.jsonl\.gz:1: grows over"):
        read_corpus([tmp_path / "m.jsonl.gz"])
    (tmp_path / "half.jsonl.gz").write_bytes(gzip.compress(b'{"audio": "a"}\n' * 99)[:-9])
    with pytest.raises(UserError, match="not a whole gzip file"):
        read_corpus([tmp_path / "half.jsonl.gz"])
    (tmp_path / "no.jsonl.gz").write_bytes(b"{}")
    with pytest.raises(UserError, match="not a whole gzip file"):
        read_corpus([tmp_path / "no.jsonl.gz"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nemo", "cuts", "kaldi"])
def test_a_long_corpus_is_read_in_seconds(kind: str, folder: Path) -> None:
    count = 25_000
    if kind == "nemo":
        rows = [{"audio": f"audio/{n}.wav", "text": "some words"} for n in range(count)]
        manifest = lines(folder / "m.jsonl", rows)
    elif kind == "cuts":
        rows = [cut(str(n), supervision("s")) for n in range(count)]
        manifest = lines(folder / "m.jsonl", rows)
    else:
        manifest = kaldi(
            folder,
            wav_scp="".join(f"{n} audio/{n}.wav\n" for n in range(count)),
            text="".join(f"{n} some words\n" for n in range(count)),
        )
    began = time.process_time()
    assert len(read_corpus([manifest]).utterances) == count
    assert time.process_time() - began < 15  # two on a free machine
