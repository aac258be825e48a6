"""Manifests of every kind become the same corpus; what is wrong is named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import AudioError, load, stored_duration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two sounds, told apart by their levels."""
    (tmp_path / "audio").mkdir()
    for name, level in (("a", 0.1), ("b", 0.2)):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.full(16000, level), 16000)
    return tmp_path


ROWS: list[dict[str, Any]] = [
    {"audio_filepath": "audio/a.wav", "text": "one, two", "duration": 1.0, "domain": "x"},
    {"audio_filepath": "audio/b.wav", "text": "three", "duration": 1.0, "domain": "y"},
]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def as_jsonl(folder: Path) -> Path:
    return write_jsonl(folder / "m.jsonl", ROWS)


def as_csv(folder: Path) -> Path:
    lines = ['audio_filepath,text,duration,domain\naudio/a.wav,"one, two",1.0,x\n']
    (folder / "m.csv").write_text("".join([*lines, "audio/b.wav,three,1.0,y\n"]), "utf-8")
    return folder / "m.csv"


def as_tsv(folder: Path) -> Path:
    """Common Voice's column names."""
    text = "path\tsentence\tduration\tdomain\naudio/a.wav\tone, two\t1.0\tx\n"
    (folder / "m.tsv").write_text(text + "audio/b.wav\tthree\t1.0\ty\n", "utf-8")
    return folder / "m.tsv"


def dataset(folder: Path) -> Any:
    import datasets

    rows = []
    for row in ROWS:
        path = folder / row["audio_filepath"]
        rows.append({**row, "audio": {"bytes": path.read_bytes(), "path": path.name}})
    table = datasets.Dataset.from_list(rows).remove_columns("audio_filepath")
    return table.cast_column("audio", datasets.Audio())


def as_saved(folder: Path) -> Path:
    dataset(folder).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def as_parquet(folder: Path) -> Path:
    dataset(folder).to_parquet(str(folder / "m.parquet"))
    return folder / "m.parquet"


def as_parquet_folder(folder: Path) -> Path:
    (folder / "tables").mkdir()
    dataset(folder).to_parquet(str(folder / "tables" / "train-0.parquet"))
    return folder / "tables"


def as_audio_folder(folder: Path) -> Path:
    """An audio folder with its metadata, as the datasets library documents it."""
    home = folder / "set"
    home.mkdir()
    lines = []
    for row in ROWS:
        name = Path(row["audio_filepath"]).name
        (home / name).write_bytes((folder / "audio" / name).read_bytes())
        lines.append({"file_name": name, "text": row["text"], "domain": row["domain"]})
    write_jsonl(home / "metadata.jsonl", lines)
    return home


KINDS = [
    as_jsonl, as_csv, as_tsv, as_saved, as_parquet, as_parquet_folder, as_audio_folder,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_the_same(kind: Any, folder: Path) -> None:
    corpus = read_corpus([kind(folder)])
    assert corpus.skipped == []
    found = {}
    for utterance in corpus.utterances:
        recording = load(utterance, 16000)
        found[utterance.text, utterance.domain] = round(float(recording.samples.mean()), 3)
        assert recording.duration == 1.0
    assert found == {("one, two", "x"): 0.1, ("three", "y"): 0.2}


def test_ids_are_given_or_made_and_unique(folder: Path) -> None:
    rows = [
        {**ROWS[0], "id": "mine"},
        {**ROWS[0], "id": "mine"},
        ROWS[1],
        {**ROWS[1], "offset": 0.5, "duration": 0.5},
    ]
    ids = [u.id for u in read_corpus([write_jsonl(folder / "m.jsonl", rows)]).utterances]
    assert ids == ["mine", "mine#2", "audio/b.wav", "audio/b.wav@0.5"]
    rows = [{**ROWS[0], "id": name} for name in ("a", "a", "a#2", "a")]
    ids = [u.id for u in read_corpus([write_jsonl(folder / "m.jsonl", rows)]).utterances]
    assert ids == ["a", "a#3", "a#2", "a#4"]


def test_several_manifests_are_one_corpus(folder: Path) -> None:
    corpus = read_corpus([as_jsonl(folder), as_csv(folder)])
    assert len(corpus.utterances) == 4
    assert len({u.id for u in corpus.utterances}) == 4


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("{oops", "m.jsonl:2: not JSON"),
        ("[1, 2]", "m.jsonl:2: not a JSON object"),
        ('{"text": "x"}', "m.jsonl:2: no audio_filepath"),
        ('{"audio_filepath": "audio/a.wav"}', "m.jsonl:2: no text"),
        ('{"audio_filepath": "audio/a.wav", "text": 5}', "text is int, not a string"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "duration": -1}', "duration -1"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "duration": 0}', "duration is 0"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "offset": NaN}', "offset nan"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "offset": "soon"}', "not a number"),
        ('{"audio_filepath": 5, "text": "x"}', "audio_filepath is int, not a path"),
        ('{"audio_filepath": ["a"], "text": "x"}', "audio_filepath is list, not a path"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "domain": ["d"]}', "domain is list"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "offset": true}', "not a number"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "offset": 1' + "0" * 400 + "}", "not a n"),
        ('{"audio_filepath": "audio/a.wav", "text": "x", "duration": 1e308}', "not a length"),
        ('{"path": "a\\u0000b", "text": "x"}', "cannot be a path"),
        ('{"audio_filepath": "audio/a.wav", "text": "\\ud800"}', "text is not valid Unicode"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_malformed_row_is_named(row: str, says: str, folder: Path) -> None:
    (folder / "m.jsonl").write_text(json.dumps(ROWS[0]) + "\n" + row + "\n")
    with pytest.raises(UserError) as caught:
        read_corpus([folder / "m.jsonl"])
    message = str(caught.value)
    assert says in message
    assert "m.jsonl:2" in message
    assert "\n" not in message


def test_all_malformed_rows_are_counted(folder: Path) -> None:
    (folder / "m.jsonl").write_text("{\n{\n{\n")
    with pytest.raises(UserError, match="and 2 more such rows"):
        read_corpus([folder / "m.jsonl"])


@pytest.mark.parametrize("path", ["../out.wav", "/etc/passwd", "link.wav", "audio/../../x.wav"])
def test_audio_outside_the_root_is_skipped(path: str, folder: Path) -> None:
    (folder / "link.wav").symlink_to("/etc/passwd")
    manifest = write_jsonl(folder / "m.jsonl", [ROWS[0], {"audio_filepath": path, "text": "x"}])
    corpus = read_corpus([manifest])
    assert [u.text for u in corpus.utterances] == ["one, two"]
    assert "leaves the corpus root" in corpus.skipped[0].reason
    assert corpus.skipped[0].origin.endswith("m.jsonl:2")


def test_an_audio_root_allows_absolute_paths(folder: Path) -> None:
    (folder / "lists").mkdir()
    row = {"audio_filepath": str(folder / "audio" / "a.wav"), "text": "x"}
    (folder / "lists" / "b.wav").symlink_to(folder / "audio" / "b.wav")
    manifest = write_jsonl(folder / "lists" / "m.jsonl", [row, {**row, "audio_filepath": "b.wav"}])
    assert len(read_corpus([manifest]).skipped) == 2
    assert len(read_corpus([manifest], audio_root=folder).utterances) == 2


def test_a_manifest_of_absolute_paths_does_not_choose_its_own_root(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"audio_filepath": str(folder / "audio" / f"{n}.wav"), "text": "x"} for n in "ab"]
    (folder / "lists").mkdir()
    manifest = write_jsonl(folder / "lists" / "m.jsonl", rows)
    with pytest.raises(UserError, match=f"--audio-root {folder}/audio"):
        read_corpus([manifest])
    # Ids do not depend on what is allowed.
    ids = [["a.wav", "b.wav"]] * 3
    assert [
        [u.id for u in read_corpus([manifest], audio_root=root).utterances]
        for root in (folder, folder / "audio", Path("/"))
    ] == ids
    beside = write_jsonl(folder / "m.jsonl", rows)
    assert [u.id for u in read_corpus([beside]).utterances] == ids[0]
    monkeypatch.setenv("ASR_AUDIO_ROOT", f"/nowhere:{folder}")
    assert [u.id for u in read_corpus([manifest]).utterances] == ids[0]
    monkeypatch.delenv("ASR_AUDIO_ROOT")
    stray = [*rows, {"audio_filepath": "/etc/passwd", "text": "x"}]
    corpus = read_corpus([write_jsonl(folder / "lists" / "n.jsonl", stray)])
    assert len(corpus.skipped) == 3, "they share nothing that one option could allow"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.jsonl", None, "no such manifest"),
        ("empty.jsonl", b"", "no rows"),
        ("m.xml", b"<a/>", "unknown kind of manifest"),
        ("latin.jsonl", '{"text": "é"}'.encode("latin-1"), "not UTF-8"),
        ("ragged.csv", b"audio_filepath,text\na.wav,x,y\n", "more cells than the header"),
        (
            "twice.csv",
            b"audio_filepath,text,text\na.wav,x,y\n",
            "twice.csv:1: two columns are called 'text'",
        ),
        ("short.csv", b"audio_filepath,text\na.wav\n", "fewer cells than the header"),
        ("quote.csv", b'audio_filepath,text\na.wav,"x\n', "not valid CSV"),
        ("m.parquet", b"no parquet", "not a parquet file"),
    ],
)
def test_a_manifest_that_cannot_be_read(
    name: str, content: bytes | None, says: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read_corpus([tmp_path / name])
    assert name in str(caught.value)


def test_what_would_never_end_is_no_manifest_and_no_audio(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jsonl")
    with pytest.raises(UserError, match="no such manifest"):
        read_corpus([folder / "pipe.jsonl"])
    os.mkfifo(folder / "audio" / "pipe.wav")
    (folder / "audio" / "loop.wav").symlink_to("loop.wav")
    names = ["audio/pipe.wav", "/dev/zero", "audio/" + "x" * 5000]
    rows = [{"audio_filepath": name, "text": "x"} for name in names]
    corpus = read_corpus([write_jsonl(folder / "m.jsonl", rows)], audio_root=Path("/dev"))
    fingerprint(corpus)
    for utterance in corpus.utterances:
        assert stored_duration(utterance) is None
        with pytest.raises(AudioError, match=r"no such audio file|not a regular|too long"):
            load(utterance, 16000)
    assert len(corpus.utterances) == 3
    rows = [{"audio_filepath": "audio/loop.wav", "text": "x"}]
    with pytest.raises(UserError, match="cannot be a path"):
        read_corpus([write_jsonl(folder / "m.jsonl", rows)])


def test_a_moved_corpus_keeps_its_fingerprint_without_ids(folder: Path) -> None:
    digests = set()
    for place in ("one", "two"):
        shutil.copytree(folder / "audio", folder / place / "audio")
        rows = [
            {**row, "audio_filepath": str(folder / place / row["audio_filepath"])} for row in ROWS
        ]
        digests.add(
            fingerprint(read_corpus([write_jsonl(folder / place / "m.jsonl", rows)])).digest
        )
    assert len(digests) == 1
    parquet = as_parquet(folder)
    moved = shutil.copytree(folder, folder.parent / "moved") / parquet.name
    one, other = (fingerprint(read_corpus([path])).digest for path in (parquet, moved))
    assert one == other


def test_an_empty_folder_and_an_unknown_hub_id(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a dataset that can be read"):
        read_corpus([tmp_path])
    with pytest.raises(UserError, match="not a dataset that can be read"):
        read_corpus(["hf:nobody/nothing"])
    with pytest.raises(UserError, match="names no dataset"):
        read_corpus(["hf:"])


def test_audio_folders_with_splits(folder: Path) -> None:
    for split, row in zip(("test", "train"), ROWS, strict=True):
        (folder / "set" / split).mkdir(parents=True)
        name = Path(row["audio_filepath"]).name
        shutil.copy(folder / "audio" / name, folder / "set" / split)
        write_jsonl(
            folder / "set" / split / "metadata.jsonl", [{"file_name": name, "text": row["text"]}]
        )
    assert [u.split for u in read_corpus([folder / "set"]).utterances] == ["test", "train"]
    (utterance,) = read_corpus([folder / "set"], split="train").utterances
    assert utterance.text == "three"


def test_splits(folder: Path) -> None:
    import datasets

    rows = [{**ROWS[0], "split": "train"}, {**ROWS[1], "split": "test"}]
    manifest = write_jsonl(folder / "m.jsonl", rows)
    assert [u.text for u in read_corpus([manifest], split="test").utterances] == ["three"]
    with pytest.raises(UserError, match="no rows of split 'dev'"):
        read_corpus([manifest], split="dev")
    with pytest.raises(UserError, match="no column 'split'"):
        read_corpus([as_jsonl(folder)], split="test")

    both = datasets.DatasetDict(train=dataset(folder), test=dataset(folder).select([1]))
    both.save_to_disk(str(folder / "both"))
    assert len(read_corpus([folder / "both"], split="test").utterances) == 1
    assert len(read_corpus([folder / "both"]).utterances) == len(ROWS) + 1


def test_a_byte_order_mark_and_blank_lines_are_no_rows(folder: Path) -> None:
    (folder / "m.jsonl").write_text("\ufeff" + json.dumps(ROWS[0]) + "\n\n  \n", "utf-8")
    assert len(read_corpus([folder / "m.jsonl"]).utterances) == 1


def test_no_text_is_an_empty_transcript(folder: Path) -> None:
    manifest = write_jsonl(folder / "m.jsonl", [{**ROWS[0], "text": None}])
    assert read_corpus([manifest]).utterances[0].text == ""


def test_a_folder_of_recordings_alone_is_refused_before_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/one.wav", "two.FLAC"):
        (tmp_path / name).write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"has recordings .* and no texts"):
        read_corpus([tmp_path])
