"""Hundreds of damaged files for one reader: each ends in a value or in a line for the user.

A case that a reader failed on is kept as a folder `corpus/READER/NAME`, whose files take the place
of the sound ones, and is read first each time. The files of a new failure are left in
`build/fuzz/READER`.
"""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from asr_gate.corpus.errors import UserError
from asr_gate.tracking.errors import TrackingError
from tests.fuzz.damage import STEPS, damaged
from tests.speech import ROOT

CORPUS = Path(__file__).parent / "corpus"
LEFT = ROOT / "build" / "fuzz"
MEMORY = 2_000_000_000
"""Bytes that all cases of one reader may take beside what the process has."""
TIMES = int(os.environ.get("FUZZ", "1"))
"""How many times more cases than in CI: `FUZZ=20 pytest tests/fuzz`."""
LONGEST = 10.0
"""Seconds of processor time for one case: far more than any needs, to find what never ends."""


@dataclass(frozen=True)
class Reader:
    """What reads untrusted files, and sound ones."""

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], str | None]
    """Reads the files in a folder. Raises UserError or TrackingError, or returns how it ended
    (None: "read"); what it asserts must hold of every case."""
    cases: int


def fuzz(reader: Reader, folder: Path) -> Counter[str]:
    """Read the sound files, the kept cases and many damaged ones; how they ended."""
    ends: Counter[str] = Counter()
    _store(folder, reader.files)
    assert (reader.read(folder) or "read") == "read"  # untimed: it imports
    with bounded_memory():
        for case in sorted((CORPUS / reader.name).glob("*/")):
            kept = {file.name: file.read_bytes() for file in case.iterdir()}
            ends[_end(reader, folder, {**reader.files, **kept})] += 1

        @seed(0)
        @settings(
            max_examples=TIMES * reader.cases,
            deadline=None,
            database=None,
            phases=(Phase.generate,),  # a case is a few steps; making them fewer can take hours
            suppress_health_check=list(HealthCheck),
        )
        @given(STEPS)
        def case_of(steps: bytes) -> None:
            ends[_end(reader, folder, damaged(reader.files, steps))] += 1

        case_of()
    return ends


def _end(reader: Reader, folder: Path, files: Mapping[str, bytes]) -> str:
    _store(folder, files)
    began = time.process_time()
    try:
        end = reader.read(folder) or "read"
    except (UserError, TrackingError) as error:
        assert "\n" not in str(error), f"{reader.name}: more than a line: {error}"
        end = "refused"
    except BaseException:
        shutil.copytree(folder, LEFT / reader.name, dirs_exist_ok=True)
        raise
    assert time.process_time() - began < LONGEST, f"{reader.name}: took too long"
    return end


def _store(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        if "/" in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.unlink(missing_ok=True)  # some file systems write to disk what replaces content
        path.write_bytes(content)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """What asks for much more memory than there is in use gets a MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (mapped * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
