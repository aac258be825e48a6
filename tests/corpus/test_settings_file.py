"""A mistake in a file of settings is one line with the place and the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.settings_file import keys, read_settings


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    rate: float = 0.0


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    suite: str
    words: list[str] = Field(default_factory=list)
    train: Part = Field(default_factory=Part)
    tests: list[Part] = Field(default_factory=list)
    domains: dict[str, Part] = Field(default_factory=dict)
    extra: Part | None = None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# a comment\n\nsuit = 'x'\n", "f.toml:3: suit: .* nearest is suite;"),
        ("suite = 's'\n[train]\nnane = 'x'\n", "f.toml:3: train.nane: .* nearest is train.name;"),
        ("suite = 's'\n[tran]\nname = 'x'\n", r"f.toml:2: tran: .* nearest is \[train\]"),
        ("suite = 's'\nrate = 1\n", "f.toml:2: rate: .* nearest is train.rate"),
        ("suite = 's'\n[[tests]]\n[[tests]]\nrat = 1\n", r"f.toml:4: tests.1.rat: .* tests.rate"),
        ("suite = 's'\n[domains.phone]\nwer = 1\n", "f.toml:3: domains.phone.wer: .* domains.rate"),
        ("suite = 's'\n[extra]\nrate = 'x'\n", "f.toml:3: extra.rate: .* number"),
        ("words = [\n 'a',\n 1,\n]\nsuite = 's'\n", r"f.toml:1: words.1: "),
        ("words = []\n", "f.toml: suite is missing"),
        ("words = [\n", "f.toml: not TOML"),
    ],
)  # fmt: skip
def test_the_place_and_the_nearest_key(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "f.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        read_settings(path, Whole)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.toml: no such file; make one"):
        read_settings(tmp_path / "none.toml", Whole, missing="no such file; make one")
    with pytest.raises(UserError, match="cannot be read"):
        read_settings(tmp_path, Whole)


def test_every_key_is_listed() -> None:
    assert [*keys(Whole)][:4] == ["suite", "words", "train.name", "train.rate"]
    assert {"tests", "tests.rate", "domains.rate", "extra.name"} <= {*keys(Whole)}
