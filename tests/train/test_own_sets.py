"""Manifests of their own to evaluate and to test on: `data.validation` and `data.test`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from asr_gate.train import recipes
from asr_gate.train.authorise import authorise_training
from asr_gate.train.data.examples import Example
from asr_gate.train.data.own_sets import read_own_sets
from asr_gate.train.distributed import Ranks
from asr_gate.train.plan import ALTERED, Refused
from asr_gate.train.prepare import prepare
from tests.train.support import write_tones
from tests.train.trainings import SMALL, train


def write_set(folder: Path, name: str, pace: float, rows: int = 4) -> Path:
    """Rows that no other corpus holds: each `pace` has audio of its own. Ids are the corpus'."""
    folder.mkdir(exist_ok=True)
    lines = []
    for index in range(rows):
        audio = f"{name}{index}.wav"
        seconds = write_tones(folder / audio, ("red", "blue"), pace + index / 100)
        fields = {"id": f"u{index:03d}", "audio_filepath": audio, "text": "Red blue.", "lang": "en"}
        lines.append(json.dumps(fields | {"duration": seconds}))
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_they_evaluate_and_test_and_no_row_is_held_out(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    write_set(tmp_path, "dev", 0.3)
    write_set(tmp_path, "test", 0.2)
    # From where the command runs, as other paths of a recipe.
    given = ("data.validation=[dev.jsonl]", "data.test=[test.jsonl]")
    plan = train(manifest, report, *given, dry_run=True).plan
    assert plan.training == 10 and plan.hold_out is None
    assert set(plan.evaluation) == {f"u{i:03d}#2" for i in range(4)}
    assert set(plan.test) == {f"u{i:03d}#3" for i in range(4)}
    assert plan.own["validation"].manifests == ["dev.jsonl"]
    assert plan.own["test"].rows == 4
    now = fingerprint(read_corpus([tmp_path / "dev.jsonl"])).digest
    assert plan.own["validation"].fingerprint == now
    assert plan.counts()["own"] == plan.model_dump(mode="json")["own"]  # what W&B gets


def test_their_audio_is_checked_when_it_is_decoded(
    manifest: Path, report: Path, tmp_path: Path
) -> None:
    dev = write_set(tmp_path, "dev", 0.3)
    settings = recipes.load("round2-tiny", [*SMALL, f"data.validation=[{dev}]"])[1]
    authorised = authorise_training(str(report), [manifest])
    own = read_own_sets(settings.data, authorised, by_user=["validation"])
    prepared = prepare("r", settings, authorised, Ranks(), own)
    first, second = prepared.selection.evaluation[:2]
    for row in (prepared.selection.training[0], first):
        assert isinstance(prepared.encoder.read(row), Example)
    write_tones(tmp_path / second.utterance.audio_name, ("black", "black"), 0.4)
    refused = prepared.encoder.read(second)
    assert isinstance(refused, Refused) and refused.rule == ALTERED


@pytest.mark.parametrize("key", ["validation", "test"])
def test_rows_that_train_too_are_refused(
    key: str, manifest: Path, report: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        line["audio_filepath"] = str(manifest.parent / line["audio_filepath"])
        line["id"] = f"other-{line['id']}"
    copy = tmp_path / "copy.jsonl"
    copy.write_text("\n".join(map(json.dumps, lines[:1])))
    more = f"data.{key}=[{copy}]"
    named = {"dry_run": True, "audio_root": manifest.parent}
    with pytest.raises(UserError, match=r"corpus\.jsonl:1: 'u000' D004: .*--accept-leaks"):
        train(manifest, report, more, **named)
    assert train(manifest, report, more, **named, accept_leaks=True).plan.own
    # What does not train cannot leak: u001 was excluded.
    copy.write_text(json.dumps(lines[1]))
    assert train(manifest, report, more, **named).plan.own


def test_one_set_is_no_part_of_the_other(manifest: Path, report: Path, tmp_path: Path) -> None:
    dev = write_set(tmp_path, "dev", 0.3)
    given = (f"data.validation=[{dev}]", f"data.test=[{dev}]")
    with pytest.raises(UserError, match=r"dev\.jsonl:1: 'u000#2' D004: .*4 rows are"):
        train(manifest, report, *given, dry_run=True)


@pytest.mark.parametrize("elsewhere", ["/etc/passwd", "../secret.jsonl", "link/dev.jsonl", "a\0b"])
def test_a_recipe_s_file_names_no_manifest_elsewhere(
    elsewhere: str, manifest: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "other", "dev", 0.3)
    here = tmp_path / "here"
    write_set(here, "dev", 0.3)
    (here / "link").symlink_to(tmp_path / "other")
    monkeypatch.chdir(here)
    authorised = authorise_training(str(report), [manifest])
    with pytest.raises(UserError, match=r"data\.test of the recipe: .* outside of this folder"):
        read_own_sets(recipes.Data(test=["dev.jsonl", elsewhere]), authorised)
    assert read_own_sets(recipes.Data(test=["dev.jsonl"]), authorised).recorded


def test_a_set_that_cannot_be_read_is_one_line(manifest: Path, report: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl: no such manifest"):
        train(manifest, report, "data.validation=[gone.jsonl]", dry_run=True)
    with pytest.raises(UserError, match="one of `test` and `test_split`"):
        train(manifest, report, "data.test=[a.jsonl]", "data.test_split=test", dry_run=True)
