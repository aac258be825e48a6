"""A corpus with some rows changed, in every format: texts and trims read back, the rest stays."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_gate.corpus import collected, rows
from asr_gate.corpus.edit import Edits, Row, write_edited
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats.format import Source, Trim
from asr_gate.corpus.read import locate, read_corpus
from asr_gate.corpus.utterance import Utterance
from tests.corpus.kinds import (
    as_audio_folder,
    as_csv,
    as_cuts,
    as_gzip,
    as_jsonl,
    as_kaldi,
    as_pair,
    as_qwen,
    as_saved,
    as_tsv,
)


def as_csv_of_segments(folder: Path) -> Path:
    rows = [f"audio/{n}.wav,t{n},0,1" for n in range(4)]
    (folder / "s.csv").write_text("\n".join(["audio_filepath,text,offset,duration", *rows]))
    return folder / "s.csv"


def as_kaldi_of_recordings(folder: Path) -> Path:
    """Without segments, with features, and with a row whose text is empty."""
    home = folder / "whole"
    home.mkdir()
    for name, content in {
        "wav.scp": "".join(f"u{n} {folder}/audio/{n}.wav\n" for n in range(4)),
        "text": "u0 one\nu1\nu2 three\nu3 four\n",
        "utt2dur": "u0 1\nu1 1.00\nu2 1\n",
        "feats.scp": "".join(f"u{n} f.ark:{n}\n" for n in range(4)),
    }.items():
        (home / name).write_text(content)
    return home


TRIMMED = [as_jsonl, as_gzip, as_qwen, as_csv_of_segments, as_cuts, as_pair, as_kaldi]
TRIMMED += [as_kaldi_of_recordings]
WHOLE = [as_csv, as_tsv, as_audio_folder, as_saved]


def no_logs(source: Source, target: Path, told: Sequence[Row]) -> Mapping[Path, Any]:
    return {target.with_name(f"{target.name}.corrections.jsonl"): []}


def edited(manifest: Path, edits: Edits, folder: Path) -> list[Utterance]:
    corpus = read_corpus([manifest], audio_root=folder)
    (placed,) = write_edited(
        corpus, edits, no_logs, about=set(), mark="corrected", audio_root=folder
    )
    assert placed.path.name.split(".")[1] == "corrected"
    again = read_corpus([placed.path], audio_root=folder)
    assert again.skipped == []
    return list(again.utterances)


def content(u: Utterance) -> tuple[object, ...]:
    return u.id, u.text, u.offset, u.duration, u.lang, u.domain, u.speaker


@pytest.mark.parametrize("kind", TRIMMED)
def test_rows_are_trimmed_retold_and_dropped(kind: Callable[[Path], Path], folder: Path) -> None:
    manifest = kind(folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    first, second, third, last = read_corpus([manifest], audio_root=folder).utterances
    said = "said, \u05e9\u05dc\u05d5\u05dd"
    edits = Edits(
        dropped={first.id},
        texts={second.id: said},
        trims={
            second.id: Trim(second.offset + 0.125, 0.25),
            third.id: Trim(third.offset + 0.1, 0.3),
        },
    )
    expected = [
        replace(
            second,
            text="said, \u05e9\u05dc\u05d5\u05dd",
            offset=second.offset + 0.125,
            duration=0.25,
        ),
        replace(third, offset=third.offset + 0.1, duration=0.3),
        last,
    ]
    found = edited(manifest, edits, folder)
    assert [content(u) for u in found] == [content(u) for u in expected]
    # Once more, over the first.
    assert [content(u) for u in edited(manifest, edits, folder)] == [content(u) for u in expected]
    assert all(p.read_bytes() == was for p, was in before.items()), "the input stays as it is"
    (source,) = locate(manifest, None)
    assert source.format.untrimmable(source) is None


@pytest.mark.parametrize("kind", [*TRIMMED, as_csv, as_tsv, as_audio_folder])
def test_rows_on_disk_are_written_as_those_in_memory(
    kind: Callable[[Path], Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = kind(folder)
    first, second, *_ = read_corpus([manifest], audio_root=folder).utterances
    edits = Edits(dropped={first.id}, texts={second.id: "said"})

    def written() -> dict[Path, bytes]:
        edited(manifest, edits, folder)
        return {p: p.read_bytes() for p in folder.rglob("*corrected*/**/*") if p.is_file()} | {
            p: p.read_bytes() for p in folder.rglob("*corrected*") if p.is_file()
        }

    in_memory = written()
    monkeypatch.setattr(rows, "BLOCK", 2)
    monkeypatch.setattr(collected, "IN_MEMORY", 2)
    assert isinstance(read_corpus([manifest], audio_root=folder).utterances, rows.Rows)
    assert in_memory and written() == in_memory


@pytest.mark.parametrize("kind", WHOLE)
def test_what_cannot_be_trimmed_says_so(kind: Callable[[Path], Path], folder: Path) -> None:
    (source,) = locate(kind(folder), None)
    assert source.format.untrimmable(source)
    assert bool(source.format.untextable(source)) == (kind is as_saved)


def test_a_trimmed_cut_is_one_to_lhotse(folder: Path) -> None:
    from lhotse import CutSet

    manifest = as_cuts(folder)
    ids = [u.id for u in read_corpus([manifest]).utterances]
    edited(manifest, Edits(trims={ids[0]: Trim(0.1, 0.2), ids[2]: Trim(0.25, 0.5)}), folder)
    several, one, _ = CutSet.from_file(folder / "cuts.corrected.jsonl.gz").to_eager()
    assert (several.start, several.duration) == (0.0, 1.0)
    assert [(s.start, s.duration) for s in several.supervisions] == [(0.1, 0.2), (0.5, 0.5)]
    assert (one.start, one.duration) == (0.25, 0.5)
    assert [(s.start, s.duration) for s in one.supervisions] == [(0.0, 0.5)]
    assert one.load_audio().shape == (1, 8000)


def test_a_trimmed_cut_with_one_supervision_left_is_that_one(folder: Path) -> None:
    manifest = as_cuts(folder)
    first, second, *_ = (u.id for u in read_corpus([manifest]).utterances)
    found = edited(manifest, Edits({first}, trims={second: Trim(0.6, 0.2)}), folder)
    assert (found[0].id, found[0].offset, found[0].duration) == (second, 0.6, 0.2)
    with gzip.open(folder / "cuts.corrected.jsonl.gz") as stream:
        cut = json.loads(next(stream))
    assert (cut["start"], cut["duration"], cut["id"]) == (0.6, 0.2, second)


def test_kaldi_gets_segments_and_loses_features_of_all_the_audio(folder: Path) -> None:
    edited(as_kaldi_of_recordings(folder), Edits(trims={"u1": Trim(0.25, 0.5)}), folder)
    home = folder / "whole.corrected"
    assert (home / "segments").read_text() == (
        "u0 u0 0 1\nu1 u1 0.25 0.75\nu2 u2 0 1\nu3 u3 0 -1\n"
    )
    assert (home / "utt2dur").read_text() == "u0 1\nu1 0.5\nu2 1\n"
    assert not (home / "feats.scp").exists()
    assert (folder / "whole" / "feats.scp").exists()


def test_texts_that_the_format_reads_otherwise_are_refused(folder: Path) -> None:
    manifest = as_jsonl(folder)
    row = read_corpus([manifest]).utterances[0]
    with pytest.raises(UserError, match="would be read as"):
        edited(manifest, Edits(texts={row.id: "language French<asr_text>bon"}), folder)
    assert not list(folder.glob("*corrected*"))


def test_a_supervision_without_a_text_gets_one(folder: Path) -> None:
    home = as_pair(folder)
    file = home / "supervisions.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    del rows[0]["text"]
    rows[1]["text"] = None
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = edited(home, Edits(texts={"s0": "now", "s1": "there"}), folder)
    assert [u.text for u in found][:2] == ["now", "there"]
