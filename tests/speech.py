"""Real and made sound for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "audit" / "example"
PROCEED = EXAMPLE / "proceed.jsonl"
STOP = EXAMPLE / "stop.jsonl"
BROKEN: dict[str, Any] = json.loads((EXAMPLE / "broken.json").read_text(encoding="utf-8"))
SHARED = ROOT.parent / "shared"
"""Speech and a model for development; not on users' machines."""


def spoken(count: int, domain: str = "kan_clean") -> list[NDArray[np.float32]]:
    """The first recordings of a domain of the bundled corpus, 16 kHz mono."""
    rows = [u for u in read_corpus([PROCEED]).utterances if u.domain == domain]
    return [load(row, 16000).samples for row in rows[:count]]


def babble(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise that rises and falls as speech does, 16 kHz."""
    random = np.random.default_rng(seed)
    n = round(seconds * 16000)
    envelope = 0.5 + 0.5 * np.sin(np.arange(n) / 16000 * 2 * np.pi * 3)
    return (0.1 * envelope * random.standard_normal(n)).astype(np.float32)
