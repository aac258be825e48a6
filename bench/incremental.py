"""What an audit costs after a few rows have changed, and whether it says the very same.

Two measurements. First, by the real command: a corpus is audited, one in a hundred of its rows is
corrected or dropped, and it is audited again.
Second, in this process: a small corpus is edited at random, a hundred times over, and after each
time audited with the cache and without; the digests of both reports are compared. Writes
`docs/incremental.md`.

Needs a NeMo-style manifest of English speech (`--data`) and an acoustic model (`--aligner`). The
bundled corpus is added to it, and then every recording once more, 3 % faster.

Run: python -m bench.incremental
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile
import soxr

from bench.docs import replace_figures
from bench.needed import speech_and_model
from bench.real_speech import english

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "incremental.md"
BUNDLED = ROOT / "audit" / "example" / "proceed.jsonl"
SEQUENCES = 100

Row = dict[str, Any]


def main() -> None:
    """Measure, print, and write the tables."""
    data, real = speech_and_model(__doc__)
    speech = [*with_folder(english(data), data.parent), *bundled()]
    with tempfile.TemporaryDirectory() as folder:
        rows = [*speech, *faster(speech, Path(folder))]
        replace_figures(PAGE, "times", measured_times(rows, real))
    with tempfile.TemporaryDirectory() as folder:
        homes = ("XDG_CACHE_HOME", "XDG_STATE_HOME")
        os.environ.update({name: str(Path(folder) / name) for name in homes})
        replace_figures(PAGE, "sequences", measured_sequences(Path(folder)))


def measured_times(rows: Sequence[Row], real: str) -> str:
    """The table of processor times, of a real aligner and the embedded one."""
    seconds = sum(row["duration"] for row in rows)
    lines = [
        f"{len(rows)} utterances, {seconds / 60:.0f} minutes: {len(rows) // 2} recordings, each of "
        "them also 3 % faster. Processor time of the whole command, its children included.\n\n",
        "| aligner | what has changed | seconds | share of the first |\n|---|---|---:|---:|\n",
    ]
    for aligner in (real, "embedded"):
        for line in times(rows, aligner):
            lines.append(line)
            print(line, end="", flush=True)
    return "".join(lines)


def measured_sequences(folder: Path) -> str:
    """How many digests are equal."""
    counted = sequences(bundled()[::10], folder, SEQUENCES)
    edits = ", ".join(f"{count} × {name}" for name, count in sorted(counted.edits.items()))
    figures = (
        f"{counted.equal} of {counted.audits} digests are equal. {edits}; of {counted.rows} "
        f"utterances, {counted.measured} were measured and {counted.kept} kept.\n"
    )
    print(figures)
    return figures


def bundled() -> list[Row]:
    """The rows of the bundled corpus."""
    lines = BUNDLED.read_text(encoding="utf-8").splitlines()
    return with_folder([json.loads(line) for line in lines], BUNDLED.parent)


def with_folder(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Rows whose paths are absolute, each with an id."""
    named = [{**row, "audio_filepath": str(folder / row["audio_filepath"])} for row in rows]
    return [{"id": Path(row["audio_filepath"]).stem} | row for row in named]


def faster(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Every row once more, with a recording of its own in `folder` that is 3 % faster."""
    made = []
    for number, row in enumerate(rows):
        path = row["audio_filepath"]
        rate = soundfile.info(path).samplerate
        start = round(row.get("offset", 0) * rate)
        samples, _ = soundfile.read(path, round(row["duration"] * rate), start, dtype="float32")
        file = folder / f"{number}.flac"
        soundfile.write(file, soxr.resample(samples, 1.03 * rate, rate), rate)
        own = {"audio_filepath": str(file), "duration": soundfile.info(file).duration}
        made.append({**row, **own, "id": f"faster-{row['id']}", "offset": 0})
    return made


def times(rows: Sequence[Row], aligner: str) -> Iterator[str]:
    """Lines of the table: the first audit, then audits after each of some changes."""
    few = max(1, round(len(rows) / 100))
    at = random.Random(0).sample(range(len(rows)), few)
    texts = [
        {**row, "text": f"{row['text']} indeed"} if number in at else row
        for number, row in enumerate(rows)
    ]
    rest = [row for number, row in enumerate(rows) if number not in at]
    first = None
    with tempfile.TemporaryDirectory() as folder:
        for name, changed in (
            ("the first audit", rows),
            ("nothing", rows),
            (f"{few} texts", texts),
            (f"{few} rows dropped", rest),
        ):
            seconds, report = command(changed, aligner, Path(folder))
            first = first or seconds
            yield (
                f"| {report['aligner']['name']} | {name} | {seconds:.1f} "
                f"| {100 * seconds / first:.1f} % |\n"
            )


def command(rows: Sequence[Row], aligner: str, folder: Path) -> tuple[float, Mapping[str, Any]]:
    """Seconds of processor time of one `asr audit` of all rows, and its report.

    Python keeps what it compiled of its modules, as it does by itself.
    """
    manifest = folder / "manifest.jsonl"
    write(rows, manifest)
    root = os.path.commonpath([row["audio_filepath"] for row in rows])
    asr = [str(Path(sys.executable).parent / "asr"), "audit", str(manifest), "--all"]
    asr += ["--aligner", aligner, "--language", "en", "--audio-root", root, "--out", str(folder)]
    homes = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    kept = {n: v for n, v in os.environ.items() if n not in ("CI", "PYTHONDONTWRITEBYTECODE")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*asr, "--no-wandb", "--json"],
        capture_output=True,
        text=True,
        env={**kept, **homes, "ASR_CACHE_GB": "2"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 20, 30):
        sys.exit(done.stderr)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads(done.stdout)


def write(rows: Sequence[Row], manifest: Path) -> None:
    """A NeMo-style manifest."""
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


class Counted:
    """What the sequences of edits came to; and who is told of their audits."""

    def __init__(self) -> None:
        self.edits: Counter[str] = Counter()
        self.audits = self.equal = self.rows = self.measured = self.kept = 0

    def say(self, line: str) -> None:
        """How much an audit measured."""
        if line.startswith("measured "):
            measured, kept = (int(word) for word in line.replace(",", "").split() if word.isdigit())
            self.measured += measured
            self.kept += kept
            self.rows += measured + kept

    def start(self, total: int, done: int) -> None:
        """Nothing to count."""

    def advance(self, utterances: int, seconds: float) -> None:
        """Nothing to count."""


def sequences(rows: Sequence[Row], folder: Path, count: int) -> Counted:
    """Edit a corpus at random, so many times over; audit it each time with the cache and without.

    The cache is the user's own, wherever that is.
    """
    from asr_gate import api

    counted = Counted()
    rng = random.Random(20)
    manifest = folder / "manifest.jsonl"
    current = list(rows)
    for number in range(count):
        for _ in range(rng.randint(1, 5)):
            name = rng.choice(list(EDITS))
            counted.edits[name] += 1
            current = EDITS[name](current, rows, rng, number)
        write(current, manifest)
        digests = [
            api.audit_corpus(
                manifest,
                out=folder / "reports",
                language="en",
                # Now all rows, now a sample of them, now as many as it takes.
                fraction=(1.0, 0.7)[number % 2],
                until_decided=number % 5 == 4,
                controls=(8, 385)[number % 3 == 0],
                audio_root=Path(rows[0]["audio_filepath"]).parent,
                cache=cache,
                page_audio=False,
                progress=counted if cache else None,
            ).content.digest
            for cache in (True, False)
        ]
        counted.audits += 1
        counted.equal += digests[0] == digests[1]
    return counted


def _correct(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    at = rng.randrange(len(current))
    words = current[at]["text"].split()
    words[rng.randrange(len(words))] = rng.choice(rng.choice(rows)["text"].split())
    return [*current[:at], {**current[at], "text": " ".join(words)}, *current[at + 1 :]]


def _swap(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    a, b = rng.sample(range(len(current)), 2)
    changed = list(current)
    changed[a] = {**current[a], "text": current[b]["text"]}
    changed[b] = {**current[b], "text": current[a]["text"]}
    return changed


def _drop(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    if len(current) < len(rows) / 2:
        return _add(current, rows, rng, number)
    at = rng.randrange(len(current))
    return [*current[:at], *current[at + 1 :]]


def _add(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    if len(current) > 1.5 * len(rows):
        return _drop(current, rows, rng, number)
    return [*current, {**rng.choice(rows), "id": f"added-{number}-{rng.getrandbits(32)}"}]


def _shuffle(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    return rng.sample(current, len(current))


def _rename(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    at = rng.randrange(len(current))
    named = {**current[at], "id": f"renamed-{number}-{rng.getrandbits(32)}"}
    return [*current[:at], named, *current[at + 1 :]]


def _trim(current: list[Row], rows: Sequence[Row], rng: random.Random, number: int) -> list[Row]:
    at = rng.randrange(len(current))
    left = max(0.5, current[at]["duration"] - rng.choice((0.1, 0.2, 0.5)))
    trimmed = {**current[at], "duration": round(left, 2)}
    return [*current[:at], trimmed, *current[at + 1 :]]


EDITS: dict[str, Callable[[list[Row], Sequence[Row], random.Random, int], list[Row]]] = {
    "text corrected": _correct,
    "texts swapped": _swap,
    "row dropped": _drop,
    "row added": _add,
    "rows reordered": _shuffle,
    "row renamed": _rename,
    "row trimmed": _trim,
}


if __name__ == "__main__":
    main()
