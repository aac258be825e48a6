"""`asr eval`: from a checkpoint to a result, and two results against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.train.record import write_record
from tests.e2e.asr import asr, asr_here, asr_without, one_line
from tests.train.layouts import write_older, write_small
from tests.train.support import WORDS, run_record, write_corpus


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `first/`, what `asr eval` made of a random model on `corpus/corpus.jsonl`."""
    from asr_gate.train.families.qwen3_asr.tokenizer import build_processor

    folder = tmp_path_factory.mktemp("evaluated")
    manifest = write_corpus(folder / "corpus", rows=16)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows.append(rows[0] | {"id": "gone", "audio_filepath": "gone.wav"})
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    processor = build_processor([" ".join(WORDS)] * 3, vocabulary=290)
    write_small(folder / "native", processor)
    write_older(folder / "older", folder / "native")
    # Its own process: what libraries say on standard error is part of it.
    done = asr(
        "eval", "older", "corpus/corpus.jsonl", "--out", "first", "--json",
        cwd=folder, OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((folder / "first" / "result.json").read_text())
    assert "transcribed 17/17" in done.stderr
    assert " x real time" in done.stderr
    assert "generation flags" not in done.stderr
    return folder


def rewritten(folder: Path, to: str, change) -> Path:
    """The result under another name, its transcripts changed by hand."""
    from asr_gate.train.evaluation.result_file import read_result, write_predictions, write_result

    result, _ = read_result(folder / "first")
    lines = (folder / "first" / "result.predictions.jsonl").read_text().splitlines()
    path = folder / to / "result.json"
    rows = [change(json.loads(line)) for line in lines]
    told = write_predictions(path, [row for row in rows if row])
    write_result(path, result.model_copy(update={"predictions": told, "checkpoint": to}))
    return path.parent


def test_a_checkpoint_is_evaluated(evaluated: Path) -> None:
    result = json.loads((evaluated / "first" / "result.json").read_text())
    assert result["checkpoint"] == "older"
    assert result["overall"]["utterances"] == 16
    assert result["overall"]["wer"] > 0.5
    assert set(result["domains"]) == {"kan_clean", "whatsapp_noisy"}
    assert [row["id"] for row in result["not_evaluated"]] == ["gone"]
    lines = (evaluated / "first" / "result.predictions.jsonl").read_text().splitlines()
    assert {"id", "domain", "reference", "hypothesis", "errors"} <= set(json.loads(lines[0]))
    assert not list((evaluated / "first").glob(".*"))


def right(row: dict) -> dict:
    return row | {"hypothesis": row["reference"]}


def right_in_one_domain(row: dict) -> dict:
    return row | {"hypothesis": row["reference"] if row["domain"] == "kan_clean" else ""}


def test_two_results_are_compared_without_torch(evaluated: Path) -> None:
    rewritten(evaluated, "good", right)
    rewritten(evaluated, "mixed", right_in_one_domain)
    better = asr_without(
        {"torch", "transformers", "pandas"}, "eval", "compare", "first", "good", cwd=evaluated
    )
    assert better.returncode == 0, better.stderr
    assert "WER rose nowhere beyond its interval" in better.stdout
    worse = asr_here(
        "eval", "compare", "good", "mixed/result.json", "--markdown", "rounds.md", "--json",
        cwd=evaluated,
    )  # fmt: skip
    assert worse.returncode == 20, worse.stderr
    told = json.loads(worse.stdout)
    assert told["worse"] == ["overall", "whatsapp_noisy"]
    assert told["domains"]["whatsapp_noisy"]["wer"]["difference"] == 1.0
    assert told["domains"]["kan_clean"]["wer"]["low"] == 0
    page = (evaluated / "rounds.md").read_text()
    assert "| whatsapp_noisy | 8 |" in page


@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_column_is_dropped(width: int, evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["first", "good", "mixed", "good2"]
    for name, change in (("good", right), ("mixed", right_in_one_domain), ("good2", right)):
        rewritten(evaluated, name, change)
    monkeypatch.setenv("COLUMNS", str(width))
    for results in (names[:2], names):
        done = asr_here("eval", "compare", *results, cwd=evaluated)
        assert done.returncode == 0, done.stderr
        letters = "ABCD"[: len(results)]
        for said in (*(f"{k} {x}" for k in ("WER", "CER") for x in letters), "95 %", "P(lower"):
            assert said in done.stdout, said
        assert "…" not in done.stdout
        assert max(map(len, done.stdout.splitlines()[len(results) + 1 :])) <= max(width, 72)
    one = asr_here("eval", "compare", "first", cwd=evaluated)
    assert one.returncode == 2


def test_other_rows_are_refused(evaluated: Path) -> None:
    rewritten(evaluated, "fewer", lambda row: row if row["id"] != "u003" else None)
    done = asr_here("eval", "compare", "first", "fewer", cwd=evaluated)
    assert done.returncode == 2
    assert "1 only in first: 'u003'" in one_line(done)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "first", "nowhere"], "no such result"),
        (["compare", "first", "corpus"], "no such result"),
        (["compare", "first", "corpus/corpus.jsonl"], "not a result of asr eval"),
        (["older", "none.jsonl"], "no such manifest"),
    ],
)
def test_mistakes_end_with_one_line(arguments: list[str], says: str, evaluated: Path) -> None:
    done = asr_here("eval", *arguments, cwd=evaluated)
    assert done.returncode == 2, done.stderr
    assert says in one_line(done)


def test_help_of_each_is_its_own(tmp_path: Path) -> None:
    for arguments, says in (
        (["eval"], "CHECKPOINT MANIFEST..."),
        (["eval", "compare"], "asr eval compare [OPTIONS] A B [C]..."),
        (["eval", "--debug", "compare"], "asr eval compare [OPTIONS] A B"),
        (["train"], "RECIPE [KEY=VALUE]..."),
        (["train", "average"], "asr train average [OPTIONS] RUN"),
    ):
        done = asr_without({"torch", "numpy"}, *arguments, "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout


def test_a_run_without_checkpoints_is_not_averaged(tmp_path: Path) -> None:
    write_record(tmp_path, run_record())
    done = asr_without({"torch"}, "train", "average", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "0 evaluated checkpoints" in one_line(done)
