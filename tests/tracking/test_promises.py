"""The tables of promises in the documentation name tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.speech import ROOT


@pytest.mark.parametrize(("name", "least"), [("tracking.md", 21), ("rounds.md", 10)])
def test_every_promise_names_a_test_that_exists(name: str, least: int) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    table = page.partition("\n## Promises and their tests\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")]
    promises = [row for row in rows if row[0].strip() != "promise"]
    assert len(promises) >= least
    files = list((ROOT / "tests").rglob("test_*.py"))
    for promise, shown in promises:
        named = [name for name in re.findall(r"`([^`]+)`", shown) if "test_" in name]
        assert named, promise
        file = None
        for name in named:
            path, _, test = name.partition("::") if ".py" in name else ("", "", name)
            if path:
                file = next((one for one in files if str(one).endswith(f"/{path}")), None)
            assert file is not None, name
            assert not test or f"\ndef {test}(" in file.read_text(encoding="utf-8"), name
