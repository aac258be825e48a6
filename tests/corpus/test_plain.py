"""Text of others on a line of ours."""

from __future__ import annotations

import pytest

from asr_gate.corpus.text.plain import isolated, plain


def test_what_steers_a_terminal_is_shown() -> None:
    assert plain("a\x1b[2J\u202eb\n c") == "a\\x1b[2J\\u202eb c"
    assert isolated("\u2068a") == "\\u2068a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'שלום, עולם 12.' 3 of 5", "'<שלום, עולם> 12.' 3 of 5"),
        ("שלום", "<שלום>"),
        ("בשנת 1984 היה: WhatsApp ושלום", "<בשנת 1984 היה>: WhatsApp <ושלום>"),
        ("שָׁלוֹם مرحبا", "<שָׁלוֹם مرحبا>"),
        ("left to right 1 2", "left to right 1 2"),
        ("", ""),
    ],
)
def test_letters_from_right_to_left_are_isolated(text: str, shown: str) -> None:
    assert isolated(text) == shown.replace("<", "\u2068").replace(">", "\u2069")
