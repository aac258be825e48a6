"""The strict aligner in its process, and where it disagrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr_gate.audit.opinion.ask import summary
from asr_gate.audit.opinion.strict import NoAnswer, StrictAligner, require_package
from asr_gate.audit.pipeline import Settings, audit
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.opinion import AskedRow
from asr_gate.audit.records.report import Report
from asr_gate.audit.report.headline import opinion
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.text.letters import spell
from tests.audit.align.synthetic import ALPHABET, MODEL, says
from tests.speech import PROCEED


@pytest.fixture(scope="module")
def aligner() -> Iterator[StrictAligner]:
    one = StrictAligner(MODEL)
    yield one
    one.stop()


HEARD = says("--aa-b-- --cc-d--")


def test_every_word_has_the_mean_of_its_letters(aligner: StrictAligner) -> None:
    right = aligner.scores(HEARD, spell("ab cd", ALPHABET))
    wrong = aligner.scores(HEARD, spell("ab da", ALPHABET))
    assert right.mean > -0.5
    assert right.unknown == 0
    assert wrong.mean < right.mean - 1
    assert (wrong.worst_word, wrong.worst < wrong.mean) == ("da", True)
    # The best path of so short a sequence is known: each letter at its own frames.
    column = {token: number for number, token in enumerate(MODEL.tokens)}
    at = [HEARD[i, column[c]] for i, c in enumerate("--aa-b-- --cc-d--") if c in "abcd"]
    assert right.mean == pytest.approx(float(np.mean(at)), abs=1e-6)


def test_characters_that_the_model_lacks_are_counted_and_cost_nothing(
    aligner: StrictAligner,
) -> None:
    known = aligner.scores(HEARD, spell("ab cd", ALPHABET))
    starred = aligner.scores(HEARD, spell("aж cd", ALPHABET))
    assert starred.unknown == 1
    assert starred.mean == pytest.approx(known.mean, abs=0.3)
    with pytest.raises(NoAnswer, match="alphabet"):
        aligner.scores(HEARD, spell("жж", ALPHABET))


def test_a_text_that_needs_too_many_frames_never_reaches_it(aligner: StrictAligner) -> None:
    text = spell("aab", ALPHABET)  # four frames: a blank lies between the two a
    assert aligner.scores(HEARD[:5], text).mean < 0
    for frames in (1, 3, 4):
        with pytest.raises(NoAnswer, match="needs over 4 frames"):
            aligner.scores(HEARD[:frames], text)


def test_a_process_that_ends_costs_one_row(aligner: StrictAligner) -> None:
    before = aligner.scores(HEARD, spell("ab cd", ALPHABET))
    process = aligner._helper._process
    assert process is not None
    process.kill()
    process.wait(10)
    with pytest.raises(NoAnswer, match="it ended the aligner"):
        aligner.scores(HEARD, spell("ab cd", ALPHABET))
    assert aligner.scores(HEARD, spell("ab cd", ALPHABET)) == before


def test_the_guard_is_needed_and_the_audit_survives_without_it(aligner: StrictAligner) -> None:
    """What the package does with a text that is too long, asked behind the guard's back."""
    tokens = [1, 1, 2]
    with pytest.raises(NoAnswer, match="it ended the aligner"):
        aligner._path(np.zeros((3, len(MODEL.tokens)), np.float32), tokens)


def test_where_they_disagree() -> None:
    kept = [AskedRow(id=f"k{n}", excluded_by=[], mean=-n / 100) for n in range(21)]
    excluded = [
        AskedRow(id="bad", excluded_by=["A001"], mean=-3.0),
        AskedRow(id="fine", excluded_by=["A001"], mean=-0.05),
        AskedRow(id="copy", excluded_by=["D001"], mean=-0.05),
        AskedRow(id="long", excluded_by=["A001"], reason="too long"),
    ]
    found = summary([*kept, *excluded], 4)
    assert found.line == pytest.approx(-0.19)
    assert found.cleared == ["fine"], "no aligner can say whether a row is a copy"
    assert found.doubted == ["k20"]
    assert found.unanswered == 1
    assert summary(excluded, 4).line is None


def test_it_changes_neither_decision_nor_digest(tmp_path: Path) -> None:
    whole = read_corpus([PROCEED])
    few = [u for u in whole.utterances if u.domain == "kan_clean"][:4]
    settings = Settings(
        name="a", out=tmp_path, aligner="embedded", language="en",
        policy=load_policy().with_controls(0), fraction=1.0, seed=0, resume=False, device="cpu",
        batch_seconds=60.0, cache=False, second_opinion=True,
    )  # fmt: skip

    class Quiet:
        def say(self, line: str) -> None: ...

        def start(self, total: int, done: int) -> None: ...

        def advance(self, utterances: int, seconds: float) -> None: ...

    beside = audit(replace(whole, utterances=few), settings, Quiet()).report
    without = beside.model_copy(update={"second_opinion": None}).sealed()
    assert beside.second_opinion is not None
    assert [row.id for row in beside.second_opinion.rows] == sorted(u.id for u in few)
    assert all(row.mean is not None and row.mean < 0 for row in beside.second_opinion.rows)
    assert without.digest == beside.digest == beside.compute_digest()
    assert without.seal != beside.seal
    assert Report.model_validate_json(beside.to_bytes()) == beside
    assert b"second_opinion" not in without.to_bytes()
    assert opinion(without) is None
    assert f"{len(few)} kept ones" in str(opinion(beside))


def test_without_the_package_it_is_said_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asr_gate.audit.opinion.strict.find_spec", lambda name: None)
    with pytest.raises(UserError, match="asr-gate\\[second-opinion\\]"):
        require_package()
