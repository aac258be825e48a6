"""The tables of docs/settings.md, from the types of asr.toml.

Run: python -m bench.settings
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from asr_gate.cli.project import Project
from asr_gate.corpus.labels import LabelRule
from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


def tables() -> str:
    """A table of every section: key, kind of value, default and meaning."""
    sections = {
        f"[{name}]": field.default_factory()  # type: ignore[call-arg, misc]
        for name, field in Project.model_fields.items()
    }
    lines: list[str] = []
    for title, section in sections.items():
        lines += _table(title, type(section))
        if title == "[corpus]":
            lines += _table("[[corpus.rules]]", LabelRule)
    return "\n".join(lines)


def _table(title: str, model: type[BaseModel]) -> list[str]:
    lines = ["", f"### `{title}`", "", "| key | value | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = field.get_default()
        shown = "" if default in (None, [], ()) else f"`{default}`"
        lines.append(f"| `{name}` | {_kind(field)} | {shown} | {field.description} |")
    return [*lines, ""]


def _kind(field: FieldInfo) -> str:
    kind = str(field.annotation)
    for part, word in (("LabelRule", "tables, see below"), ("bool", "true or false")):
        if part in kind:
            return word
    return "list of texts" if "list" in kind or "tuple" in kind else "text"


def main() -> None:
    """Write the tables."""
    replace_figures(PAGE, "settings", tables())


if __name__ == "__main__":
    main()
