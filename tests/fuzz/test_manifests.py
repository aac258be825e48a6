"""Damaged manifests of every format: each is read or refused in a line, and no row is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.fuzz.harness import Reader, fuzz
from tests.fuzz.manifests import KINDS, check


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_damaged_manifests_lose_no_row(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kind = KINDS[name]
    ends = fuzz(Reader(name, kind.files, partial(check, kind), 200), tmp_path)
    record_property(f"fuzzed manifest, no row lost: {name}", dict(ends))
    assert ends["read"] > 10
    assert ends.total() - ends["read"] > 10
