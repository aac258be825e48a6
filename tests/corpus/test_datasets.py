"""Versions of a dataset."""

from pathlib import Path

import pytest

from asr_gate.corpus.datasets import (
    LoggedDataset,
    add_version,
    logged_dataset,
    note_logged,
    versions,
)
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from tests.rounds.models import write_rows
from tests.train.results import lines


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_rows(Path("rows.jsonl"), lines(6))


def test_a_version_follows_a_change_and_nothing_else(manifest: Path) -> None:
    first, new = add_version("calls", read_corpus([manifest]), {})
    assert (first.number, first.rows, new) == (1, 6, True)
    assert first.domains == {"kan_clean": 3, "whatsapp_noisy": 3}
    assert first.hours == pytest.approx(21 / 3600, abs=1e-4)
    assert add_version("calls", read_corpus([manifest]), {}) == (first, False)
    second, new = add_version("calls", read_corpus([manifest]), {"deletion": 2})
    assert (second.number, second.fingerprint, new) == (2, first.fingerprint, True)
    write_rows(manifest, lines(5))
    third, _ = add_version("calls", read_corpus([manifest]), {"deletion": 2})
    assert third.fingerprint != first.fingerprint
    add_version("other", read_corpus([manifest]), {})
    assert [one.number for one in versions("calls")] == [1, 2, 3]
    assert len(versions()) == 4
    assert versions("*") == []


def test_the_newest_logged_version_of_these_rows_is_found(manifest: Path) -> None:
    made = [add_version("calls", read_corpus([manifest]), {"x": n})[0] for n in (1, 2, 3)]
    assert logged_dataset(made[0].fingerprint) is None
    for one in made[:2]:
        note_logged(one, LoggedDataset(f"wandb:e/p/d:v{one.number}", "d"))
    found = logged_dataset(made[0].fingerprint)
    assert found == LoggedDataset("wandb:e/p/d:v2", "d")
    assert logged_dataset("sha256:other") is None
    Path("datasets/calls/v2.json").write_text("{")
    assert logged_dataset(made[0].fingerprint) == LoggedDataset("wandb:e/p/d:v1", "d")
    with pytest.raises(UserError, match=r"v2\.json"):
        versions("calls")


def test_names_stay_in_their_folder(manifest: Path) -> None:
    for name in ("", "..", "../x", "a/b", ".x", "x" * 101):
        with pytest.raises(UserError, match="--name"):
            add_version(name, read_corpus([manifest]), {})
