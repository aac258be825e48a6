"""Which recordings a model has learned from, in a file of bounded size beside it.

It holds the smallest of their digests, a bottom-k sketch (Cohen and Kaplan, 2007): all of them
after a small training, a random sample after a large one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from asr_gate.corpus.digests import Method
from asr_gate.corpus.files import MEGABYTE
from asr_gate.corpus.fingerprint import ABSENT
from asr_gate.corpus.strict import read_json
from asr_gate.corpus.utterance import Utterance

HEARD_FILE = "heard.json"
KEPT = 4096
"""Most digests that are kept."""


class Heard(BaseModel):
    """Digests of the recordings, or segments, that a model has learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audio: Method
    """How much of the audio the digests are of."""
    digests: list[Annotated[str, Field(pattern="^[0-9a-f]{16}$")]] = Field(max_length=KEPT)
    """The smallest, in ascending order."""

    @classmethod
    def of(cls, rows: Iterable[Utterance], sounds: Mapping[str, str], audio: Method) -> Heard:
        """What is kept of rows that were learned from.

        Args:
            rows: that train.
            sounds: digests of their audio, by id.
            audio: how these were made.
        """
        return cls(audio=audio, digests=sorted(_digests(rows, sounds))[:KEPT])

    def also(self, earlier: Heard | None) -> Heard:
        """These, and what the model that the training began with has heard."""
        if earlier is None or earlier.audio != self.audio:
            return self
        both = sorted({*self.digests, *earlier.digests})[:KEPT]
        return self.model_copy(update={"digests": both})

    def among(self, rows: Iterable[Utterance], sounds: Mapping[str, str], audio: Method) -> int:
        """How many recordings or segments of a corpus were learned from.

        An estimate where the sketch is full; 0 where the digests were made in another way.
        """
        own = _digests(rows, sounds)
        if self.audio != audio or not self.digests:
            return 0
        found = own & set(self.digests)
        if len(self.digests) < KEPT or not found:
            return len(found)
        within = sum(digest <= self.digests[-1] for digest in own)
        return round(len(found) / within * len(own))


def read_heard(folder: Path) -> Heard | None:
    """What lies in the folder of a run; None: nothing that can be read.

    Args:
        folder: of the run, above its checkpoints.
    """
    try:
        return Heard.model_validate(read_json(folder / HEARD_FILE, MEGABYTE))
    except (OSError, ValueError):
        return None


def _digests(rows: Iterable[Utterance], sounds: Mapping[str, str]) -> set[str]:
    """Of a recording and where in it a row begins: texts and lengths may have been mended since."""
    keys = (f"{sounds[u.id]} {u.offset}" for u in rows if sounds[u.id] not in ABSENT)
    return {hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys}
