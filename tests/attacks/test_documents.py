"""docs/security.md names tests that exist, and all of them."""

from __future__ import annotations

import re

from tests.speech import ROOT


def test_the_table_of_attacks_and_the_tests_are_the_same() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = page.partition("<!-- attacks -->")[2].partition("<!-- /attacks -->")[0]
    named = set(re.findall(r"`(test_\w+)`", table))

    def tests(folder: str, pattern: str) -> set[str]:
        files = (ROOT / "tests" / folder).rglob(pattern)
        return {n for file in files for n in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}

    there = tests("attacks", "test_[!d]*.py")
    folders = ("audit", "cli", "corpus", "train")
    elsewhere = set().union(*(tests(folder, "test_*.py") for folder in folders))
    assert named <= there | elsewhere, named - there - elsewhere
    assert there - named <= HARMLESS, there - named - HARMLESS


HARMLESS = {
    "test_names_in_the_settings_of_the_folder_are_harmless",
}
"""What is allowed beside the attacks."""
