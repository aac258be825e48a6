"""What all commands share: extras, `--debug`, the version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import asr_gate
from asr_gate.audit.records import rules
from asr_gate.cli import extras
from asr_gate.cli.extras import MODULES, extra_of
from tests.speech import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CORE = {
    "asr_gate", "click", "click_default_group", "platformdirs", "pydantic", "pydantic_core", "rich",
}  # fmt: skip
Asr = Callable[..., tuple[int, str, str]]


def imported() -> set[str]:
    """Top-level names that the package imports and Python does not bring."""
    names: set[str] = set()
    for folder in ("asr_gate", "audit", "cli", "corpus", "tracking", "train"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


def test_every_module_that_is_imported_has_its_extra() -> None:
    assert {name for name in imported() - CORE if extra_of(name) in (None, "dev")} == set()
    assert (extra_of("yaml"), extra_of("jiwer"), extra_of("wandb")) == ("align", "train", "wandb")
    assert extra_of("nosuch") is None


def test_no_name_of_the_table_is_left_over() -> None:
    extra = " ".join(one for many in PROJECT["optional-dependencies"].values() for one in many)
    assert set(MODULES) <= set(re.findall(r"[\w-]+", extra.lower()))


def test_a_missing_module_names_its_extra(asr: Asr, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("none", name="soundfile.inner")

    monkeypatch.setattr(rules, "catalogue", missing)
    code, _, said = asr("explain", "A005")
    assert code == 2
    assert "soundfile is not installed" in said
    assert "pip install 'asr-gate[align]'" in said
    monkeypatch.setattr(extras, "requires", lambda _: None)
    assert asr("explain", "A005")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--debug", "explain", "nosuch"],
        ["explain", "--debug", "nosuch"],
        ["explain", "nosuch", "--debug"],
        ["report", "--debug", "export", "nosuch", "words"],
        ["report", "export", "nosuch", "words", "--debug"],
        ["eval", "--debug", "compare", "a", "b"],
        ["eval", "compare", "a", "b", "--debug"],
    ],
)
def test_debug_works_wherever_it_stands(arguments: list[str], asr: Asr, tmp_path: Path) -> None:
    assert "Traceback" in asr(*arguments)[2]
    arguments.remove("--debug")
    assert "Traceback" not in asr(*arguments)[2]


def test_the_version_is_the_projects(asr: Asr) -> None:
    assert asr_gate.__version__ == PROJECT["version"]
    assert PROJECT["version"] in asr("--version")[1]
