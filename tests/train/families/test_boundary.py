"""Nothing outside of a family knows which one it trains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.train.families.interface import Family
from asr_gate.train.families.registry import family, family_of
from asr_gate.train.recipes import FAMILIES, FamilyName

TRAIN = Path(__file__).parents[3] / "train"
NAMES_THEM = {"families/registry.py", "recipes/__init__.py", "recipes/model.py", "plan.py"}
"""Where families are named: they are found there, their keys are listed, old records are read."""
MODELS = re.compile("qwen|whisper|wav2vec|hubert", re.IGNORECASE)


def test_no_other_file_names_one() -> None:
    modules = {family(name).__module__.split(".")[3] for name in FAMILIES}
    found = {}
    for path in sorted(TRAIN.rglob("*.py")):
        name = path.relative_to(TRAIN).as_posix()
        of_a_family = Path(name.removeprefix("families/")).parts[0].removesuffix(".py") in modules
        if name in NAMES_THEM or of_a_family:
            continue
        hits = [line.strip() for line in path.read_text().splitlines() if MODELS.search(line)]
        if hits:
            found[name] = hits
    assert not found


@pytest.mark.parametrize("name", FAMILIES)
def test_each_name_is_a_family(name: FamilyName) -> None:
    one = family(name)
    assert isinstance(one, Family)
    assert one.name == name


def test_a_checkpoint_of_no_family_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="holds a bert model, which is of none of the families"):
        family_of(str(tmp_path))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="no usable"):
        family_of(str(tmp_path))
