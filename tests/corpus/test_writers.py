"""A corpus less some rows, in every format: what stays stays as it was, and reads the same."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load
from asr_gate.corpus.utterance import Corpus, Utterance
from asr_gate.corpus.write import Written, clean_jsonl, write_without
from tests.corpus.kinds import (
    KINDS,
    TEXTS,
    as_csv,
    as_cuts,
    as_jsonl,
    as_kaldi,
    as_qwen,
    as_saved,
    as_tsv,
    rows_of,
)


def cleaned(
    manifests: Path | list[Path], dropped: Collection[str], **options: Any
) -> tuple[Corpus, list[Written]]:
    manifests = [manifests] if isinstance(manifests, Path) else manifests
    reading = {k: v for k, v in options.items() if k not in ("out", "texts")}
    corpus = read_corpus(manifests, **reading)
    ledger = {identity: {"reason": "low quality", "findings": []} for identity in dropped}
    return corpus, write_without(corpus, ledger, **options)


def content(u: Utterance) -> tuple[object, ...]:
    return u.id, u.text, u.offset, u.duration, u.lang, u.domain, u.speaker


def level(u: Utterance) -> float:
    return round(float(load(u, 16000).samples.mean()), 2)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_reads_as_the_same_rows_less_the_dropped(
    kind: Callable[[Path], Path], folder: Path
) -> None:
    manifest = kind(folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    victim = read_corpus([manifest]).utterances[1]
    corpus, (written,) = cleaned(manifest, [victim.id])
    again = read_corpus([written.path], audio_root=folder)
    kept = [u for u in corpus.utterances if u.id != victim.id]
    assert [content(u) for u in again.utterances] == [content(u) for u in kept]
    assert [level(u) for u in again.utterances] == [level(u) for u in kept]
    assert again.skipped == []
    (line,) = map(json.loads, written.drop_log.read_text().splitlines())
    assert line == {
        "id": victim.id, "origin": victim.origin, "reason": "low quality", "findings": [],
    }  # fmt: skip
    assert (written.kept, written.dropped) == (3, 1)
    assert written.path.name.split(".")[1] == "clean"
    assert all(p.read_bytes() == was for p, was in before.items()), "the input stays as it is"

    # A second run over the first.
    _, (twice,) = cleaned(manifest, [victim.id, kept[0].id])
    assert twice.path == written.path
    again = read_corpus([twice.path], audio_root=folder)
    found = [content(u) for u in again.utterances]
    assert found == [content(u) for u in kept[1:]]
    leftovers = [p.name for p in written.path.parent.iterdir() if p.name.startswith(".")]
    assert leftovers == []


@pytest.mark.parametrize("kind", KINDS[:9])
def test_texts_are_corrected_and_logged(kind: Callable[[Path], Path], folder: Path) -> None:
    manifest = kind(folder)
    first, second, third, last = read_corpus([manifest]).utterances
    texts = {first.id: "gone", second.id: 'a "new", text', last.id: last.text}
    _, (written,) = cleaned(manifest, [first.id], texts=texts)
    again = read_corpus([written.path], audio_root=folder).utterances
    assert [u.text for u in again] == [texts[second.id], third.text, last.text]
    assert (again[0].id, again[0].text, again[0].lang) == (
        second.id, texts[second.id], second.lang
    )  # fmt: skip
    assert written.fixed == 1
    assert written.fix_log is not None
    (line,) = map(json.loads, written.fix_log.read_text().splitlines())
    assert line == {
        "id": second.id, "origin": second.origin, "before": second.text,
        "after": texts[second.id],
    }  # fmt: skip
    _, (without,) = cleaned(manifest, [first.id])
    assert (without.fixed, written.fix_log.exists()) == (0, False)


def test_texts_of_a_dataset_are_not_corrected(folder: Path) -> None:
    manifest = as_saved(folder)
    row = read_corpus([manifest]).utterances[0]
    with pytest.raises(UserError, match="--fix writes text files alone"):
        cleaned(manifest, [], texts={row.id: "new"})
    assert not list(folder.glob("*.clean*"))


@pytest.mark.parametrize("kind", [as_jsonl, as_qwen, as_tsv])
def test_lines_stay_byte_for_byte(kind: Callable[[Path], Path], folder: Path) -> None:
    manifest = kind(folder)
    _, (written,) = cleaned(manifest, ["audio/1.wav"])
    lines = manifest.read_bytes().splitlines(keepends=True)
    expected = b"".join(line for line in lines if b"audio/1.wav" not in line)
    assert written.path.read_bytes() == expected


def test_rows_of_csv_that_span_lines_stay_byte_for_byte(folder: Path) -> None:
    manifest = as_csv(folder)
    _, (written,) = cleaned(manifest, ["audio/1.wav"])
    gone = f'"audio/1.wav","{TEXTS[1]}","a\nb",\r\n'.encode()
    assert gone in manifest.read_bytes()
    assert written.path.read_bytes() == manifest.read_bytes().replace(gone, b"")


def test_a_kaldi_folder_stays_whole(folder: Path) -> None:
    _, (written,) = cleaned(as_kaldi(folder), ["u0", "u1"])
    found = {p.name: p.read_text() for p in written.path.iterdir()}
    home = folder / "kaldi"
    assert found == {
        "wav.scp": f"r2 {home}/audio/2.wav\nr3 {home}/audio/3.wav\n",
        "segments": "u2 r2 0 1\nu3 r3 0 1\n",
        "text": "u2  three\nu3  four\n",
        "utt2spk": "u2 t\nu3 t\n",
        "spk2utt": "t u2 u3\n",
        "spk2gender": "t m\n",
        "reco2dur": "r2 1\nr3 1\n",
    }


def test_of_a_cut_the_other_supervisions_stay(folder: Path) -> None:
    _, (written,) = cleaned(as_cuts(folder), ["s0"])
    with gzip.open(written.path) as stream:
        first, *others = [json.loads(line) for line in stream]
    assert first["id"] == "s1"
    assert [s["id"] for s in first["supervisions"]] == ["s1"]
    with gzip.open(folder / "cuts.jsonl.gz") as stream:
        assert others == [json.loads(line) for line in stream][1:]
    from lhotse import CutSet

    assert len(CutSet.from_file(written.path).to_eager()) == 3


def test_a_dataset_keeps_its_columns_and_types(folder: Path) -> None:
    import datasets

    corpus, (written,) = cleaned(as_saved(folder), ["1.wav"])
    before = datasets.load_from_disk(str(folder / "saved"))
    after = datasets.load_from_disk(str(written.path))
    assert after.features == before.features | {"id": datasets.Value("string")}
    assert after["n"][:] == [1, 3, 4]
    assert after["id"][:] == [u.id for u in corpus.utterances if u.id != "1.wav"]
    sound = before.remove_columns("audio").add_column("audio", ["audio/0.wav"] * 4)
    sound = sound.add_column("id", [7, 8, 9, 10])
    sound.to_parquet(str(folder / "paths.parquet"))
    _, (written,) = cleaned(folder / "paths.parquet", ["8"])
    after = datasets.Dataset.from_parquet(str(written.path))
    assert after["id"][:] == [7, 9, 10], "ids that are there stay as they are"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv"])
@pytest.mark.parametrize("given", [False, True])
def test_ids_stay_where_those_they_were_made_from_go(
    ending: str, given: bool, folder: Path
) -> None:
    rows = [{"audio_filepath": f"audio/{n % 2}.wav", "text": f"t{n}"} for n in range(4)]
    if given:
        rows = [row | {"id": ("x", "y")[n % 2]} for n, row in enumerate(rows)]
    manifest = folder / f"m.{ending}"
    if ending == "jsonl":
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        between = "," if ending == "csv" else "\t"
        table = [list(rows[0]), *(list(row.values()) for row in rows)]
        manifest.write_text("".join(between.join(cells) + "\n" for cells in table))
    corpus = read_corpus([manifest])
    first, _, _, last = (u.id for u in corpus.utterances)
    assert last.endswith("#2")
    _, (written,) = cleaned(manifest, [first])
    assert [content(u) for u in read_corpus([written.path]).utterances] == [
        content(u) for u in corpus.utterances[1:]
    ]
    untouched = [line for line in manifest.read_bytes().splitlines() if b"1.wav" in line]
    if ending == "jsonl":
        assert untouched == written.path.read_bytes().splitlines()[::2]


def test_ids_stay_where_the_shared_folder_shrinks(folder: Path) -> None:
    for name in ("x", "y"):
        shutil.copytree(folder / "audio", folder / name)
    rows = [
        {"audio_filepath": f"{folder}/{name}/{n}.wav", "text": "t"} for name in "xy" for n in (0, 1)
    ]
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus, (written,) = cleaned(manifest, ["x/0.wav", "x/1.wav"])
    kept = [u.id for u in corpus.utterances[2:]]
    assert kept == ["y/0.wav", "y/1.wav"]
    assert [u.id for u in read_corpus([written.path]).utterances] == kept


def test_several_manifests_and_their_ids(folder: Path) -> None:
    manifests = [as_jsonl(folder), as_csv(folder), as_kaldi(folder)]
    corpus, written = cleaned(manifests, ["audio/0.wav", "audio/1.wav#2", "u3"])
    assert [one.path.name for one in written] == ["m.clean.jsonl", "m.clean.csv", "kaldi.clean"]
    assert [(one.kept, one.dropped) for one in written] == [(3, 1)] * 3
    again = read_corpus([one.path for one in written], audio_root=folder)
    gone = {"audio/0.wav", "audio/1.wav#2", "u3"}
    kept = [u for u in corpus.utterances if u.id not in gone]
    assert [content(u) for u in again.utterances] == [content(u) for u in kept]
    with pytest.raises(UserError, match="named twice"):
        cleaned([manifests[0], manifests[0]], ["audio/0.wav"])
    twin = shutil.copytree(manifests[2], folder / "twin")
    with pytest.raises(UserError, match="another manifest has the same id"):
        cleaned([manifests[2], twin], ["u0"])
    (folder / "out").mkdir()
    shutil.copytree(folder / "audio", folder / "out" / "audio")
    with pytest.raises(UserError, match="would not find their audio"):
        cleaned(manifests, ["u3"], out=folder / "out")


ROW = st.fixed_dictionaries(
    {"audio_filepath": st.sampled_from(["a.wav", "x/a.wav", "x/b.wav", "{home}/x/a.wav"])},
    optional={
        "id": st.sampled_from(["a.wav", "u", "u#2", "u#3", '"', ""]),
        "offset": st.sampled_from(["0", "0.5"]),
        "text": st.sampled_from(
            ["", "one", 'say "one"', "\u05e9\u05dc\u05d5\u05dd, \u2028 two", " x "]
        ),
        "split": st.sampled_from(["train", "dev"]),
    },
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(ROW, min_size=2, max_size=8), st.data(), st.sampled_from(["jsonl", "csv", "tsv"]))
def test_any_rows_less_any_of_them(rows: list[dict[str, str]], data: Any, ending: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        rows = [{k: v.replace("{home}", home) for k, v in row.items()} for row in rows]
        manifest = Path(home) / f"m.{ending}"
        if ending == "jsonl":
            rows = [{"text": "", "split": None, **row} for row in rows]
            manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            names = sorted({"text", "split", *(name for row in rows for name in row)})
            with manifest.open("w", newline="") as stream:
                quoting = csv.QUOTE_NONE if ending == "tsv" else csv.QUOTE_ALL
                quote = None if ending == "tsv" else '"'
                between = "\t" if ending == "tsv" else ","
                writer = csv.writer(stream, delimiter=between, quoting=quoting, quotechar=quote)
                writer.writerows([names, *([row.get(n, "") for n in names] for row in rows)])
        split = data.draw(st.sampled_from([None, "train"]))
        try:
            ids = [u.id for u in read_corpus([manifest], split=split).utterances]
        except UserError:
            assert split and not any(row.get("split") == split for row in rows)
            return
        dropped = data.draw(st.sets(st.sampled_from(ids), max_size=len(ids) - 1))
        corpus, (written,) = cleaned(manifest, dropped, split=split)
        again = read_corpus([written.path], split=split)
        kept = [u for u in corpus.utterances if u.id not in dropped]
        assert [content(u) for u in again.utterances] == [content(u) for u in kept]
        assert [u.audio for u in again.utterances] == [u.audio for u in kept]
        assert [(u.text, u.split) for u in again.others] == [
            (u.text, u.split) for u in corpus.others
        ]
        if not dropped:
            assert written.path.read_bytes() == manifest.read_bytes()


def test_rows_of_other_splits_stay(folder: Path) -> None:
    import datasets

    rows = [
        {"audio_filepath": f"audio/{n}.wav", "text": text, "split": ("train", "test")[n % 2]}
        for n, text in enumerate(TEXTS)
    ]
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, (written,) = cleaned(manifest, ["audio/0.wav"], split="train")
    assert [json.loads(line) for line in written.path.read_text().splitlines()] == rows[1:]

    rows_of(folder).save_to_disk(str(folder / "embedded"))
    embedded = datasets.load_from_disk(str(folder / "embedded"))
    pair = datasets.DatasetDict(train=embedded.select([0, 1]), test=embedded.select([2, 3]))
    pair.save_to_disk(str(folder / "both"))
    corpus, (written,) = cleaned(folder / "both", ["1.wav"], split="train")
    again = read_corpus([written.path], split="train")
    assert [content(u) for u in again.utterances] == [content(corpus.utterances[0])]
    assert [u.text for u in again.others] == TEXTS[2:]
    whole, (written,) = cleaned(folder / "both", ["1.wav", "2.wav"])
    again = read_corpus([written.path])
    kept = [u for u in whole.utterances if u.id not in ("1.wav", "2.wav")]
    assert [content(u) for u in again.utterances] == list(map(content, kept))
    assert (written.kept, written.dropped) == (2, 2)

    (folder / "clips").mkdir()
    for table, names in (("train", (0, 1)), ("test", (2, 3))):
        lines = [f"c\t{n}.wav\t{n}" for n in names]
        (folder / f"{table}.tsv").write_text("\n".join(["client_id\tpath\tsentence", *lines]))
    shutil.copytree(folder / "audio", folder / "clips", dirs_exist_ok=True)
    _, (written,) = cleaned(folder, ["clips/1.wav"], split="train")
    assert written.path == folder / "train.clean.tsv"
    (one,) = read_corpus([written.path], split="train").utterances
    assert (one.id, one.split, level(one)) == ("clips/0.wav", "train", 0.1)
    written.path.unlink()
    _, tables = cleaned(folder, ["clips/1.wav", "clips/2.wav"])
    assert [table.path.name for table in tables] == ["train.clean.tsv", "test.clean.tsv"]
    assert [(table.kept, table.dropped) for table in tables] == [(1, 1), (1, 1)]


def test_skipped_rows_go_with_their_reason(folder: Path) -> None:
    manifest = as_jsonl(folder)
    with manifest.open("ab") as stream:
        stream.write(b'\n{"audio_filepath": "../x.wav", "text": "x"}\n')
    corpus = read_corpus([manifest])
    (skipped,) = corpus.skipped
    _, (written,) = cleaned(manifest, [skipped.id])
    assert (written.kept, written.dropped) == (4, 1)
    assert written.path.read_bytes() == as_jsonl(folder).read_bytes() + b"\n"
    assert json.loads(written.drop_log.read_text())["origin"] == skipped.origin


def test_where_it_may_be_written(folder: Path, tmp_path: Path) -> None:
    manifest = as_jsonl(folder)
    victim = ["audio/0.wav"]
    _, (written,) = cleaned(manifest, victim, out=folder / "other.jsonl")
    assert written.path == folder / "other.jsonl"
    assert written.drop_log == folder / "other.jsonl.dropped.jsonl"
    for out, says in (
        (manifest, "is the corpus itself"),
        (folder / "m.csv", "can only be written as .jsonl"),
        (folder / "no" / "m.jsonl", "no such folder"),
        (tmp_path / "m.jsonl", "would not find their audio from there"),
        (tmp_path, "would not find their audio from there"),
    ):
        with pytest.raises(UserError, match=says):
            cleaned(manifest, victim, out=out)
        assert not (tmp_path / "m.jsonl").exists()
        assert not list(tmp_path.glob(".*"))
    with pytest.raises(UserError, match="no row would be left"):
        cleaned(manifest, [f"audio/{n}.wav" for n in range(4)])

    # Where all paths are absolute it may lie anywhere.
    rows = [{"audio_filepath": f"{folder}/audio/{n}.wav", "text": "t"} for n in range(4)]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus, (written,) = cleaned(manifest, ["0.wav"], out=tmp_path)
    assert written.path == tmp_path / "m.clean.jsonl"
    again = read_corpus([written.path], audio_root=folder).utterances
    assert [content(u) for u in again] == [content(u) for u in corpus.utterances[1:]]

    home = as_kaldi(folder)
    mine = folder / "mine"
    mine.mkdir()
    (mine / "precious").touch()
    with pytest.raises(UserError, match="was not written by asr clean"):
        cleaned(home, ["u0"], out=mine)
    with pytest.raises(UserError, match="is the corpus itself"):
        cleaned(home, ["u0"], out=home)
    assert (mine / "precious").exists()
    _, (written,) = cleaned(home, ["u0"], out=tmp_path / "elsewhere")
    again = read_corpus([written.path], audio_root=folder).utterances
    assert [level(u) for u in again] == [0.2, 0.3, 0.4]


def test_a_dataset_that_does_not_hold_its_audio_is_not_written(folder: Path) -> None:
    import datasets
    import pyarrow as pa

    # Written past the library, which would embed the file when it saves.
    features = datasets.Features({"audio": datasets.Audio(), "text": datasets.Value("string")})
    row = {"audio": {"bytes": None, "path": "/etc/hostname"}, "text": "x"}
    table = pa.Table.from_pylist([row] * 2, schema=features.arrow_schema)
    import pyarrow.parquet

    (folder / "set").mkdir()
    pyarrow.parquet.write_table(table, folder / "set" / "train.parquet")
    with pytest.raises(UserError, match="names files that it does not hold"):
        cleaned(folder / "set", ["hostname"], split="train", audio_root=Path("/etc"))
    assert not (folder / "set.clean").exists()


def test_the_clean_corpus_as_one_list(folder: Path) -> None:
    rows = [
        {"audio_filepath": "audio/0.wav", "text": TEXTS[1], "speaker": "s", "split": "train"},
        {
            "audio_filepath": "audio/1.wav",
            "text": "x",
            "offset": 0.5,
            "duration": 0.5,
            "lang": "he",
        },
        {"audio_filepath": "audio/1.wav", "text": "x", "domain": "d"},
    ]
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read_corpus([manifest])
    written = [json.loads(line) for line in clean_jsonl(corpus, {"audio/1.wav"})]
    for row in rows:
        row["audio_filepath"] = str(folder / str(row["audio_filepath"]))
    assert written == [{"id": "audio/0.wav", **rows[0]}, {"id": "audio/1.wav@0.5", **rows[1]}]
    (folder / "clean.jsonl").write_bytes(b"".join(clean_jsonl(corpus, set())))
    assert [content(u) for u in read_corpus([folder / "clean.jsonl"]).utterances] == [
        content(u) for u in corpus.utterances
    ]
