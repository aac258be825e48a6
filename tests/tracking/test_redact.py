from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest

from asr_gate.tracking.redact import HIDDEN, one_line, redact


class Decision(Enum):
    STOP = "STOP"


def test_secrets_by_name_and_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "tk-123456789")
    monkeypatch.setenv("SHORT_PASSWORD", "abc")
    config = {
        "api_key": "x",
        "hub": {"hf_token": "y", "url": "https://me:tk-123456789@host/"},
        "pad_token": "<pad>",
        "tokens_per_sec": 12.5,
        "text": "abc",
    }
    assert redact(config) == {
        "api_key": HIDDEN,
        "hub": {"hf_token": HIDDEN, "url": f"https://{HIDDEN}@host/"},
        "pad_token": "<pad>",
        "tokens_per_sec": 12.5,
        "text": "abc",
    }
    assert one_line(OSError("\n  no tk-123456789 \nmore")) == f"no {HIDDEN}"
    assert one_line(TimeoutError()) == "TimeoutError"


def test_plain_values() -> None:
    assert redact({"p": Path("a/b"), "d": Decision.STOP, "t": (1, 2), "s": {"b", "a"}}) == {
        "p": "a/b",
        "d": "STOP",
        "t": [1, 2],
        "s": ["a", "b"],
    }
