"""What the tests of several files of this folder share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a corpus' audio: four sounds told apart by their levels."""
    home = tmp_path / "home"
    (home / "audio").mkdir(parents=True)
    for n in range(4):
        soundfile.write(home / "audio" / f"{n}.wav", np.full(16000, 0.1 * (n + 1)), 16000)
    return home
