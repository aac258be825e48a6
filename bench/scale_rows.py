"""What many rows cost before and beside the alignment: the table of docs/scale.md.

    python -m bench.scale_rows 20000 100000 1000000    # rows of each manifest
    python -m bench.scale_rows --clean 1000000         # what `asr clean` takes

Each manifest is made anew: recordings of 5,000 s, each of 1,000 utterances with spans of their own,
texts of real words, one row in 100 nearly the text of the row before it and one in 1,000 an exact
copy. The recordings are sparse WAV files that differ in one sample. Audio is fingerprinted in
blocks (`gate.audio = "sampled"`). Nothing is aligned.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
EXAMPLE = Path(__file__).parents[1] / "reports" / "example"
EXAMPLE_CORPUS = Path(__file__).parents[1] / "audit" / "example"
SEGMENTS = 1000
"""Utterances of a recording."""
SECONDS = 5.0
"""Of an utterance."""
RATE = 8000
SAMPLE = 300
"""Utterances that the plan draws."""


def make(folder: Path, rows: int) -> Path:
    """Write a manifest of so many rows, and its recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    words = _words()
    draw = random.Random(rows)
    manifest = folder / "train.jsonl"
    with manifest.open("w", encoding="utf-8") as lines:
        text = ""
        for number in range(rows):
            recording, segment = divmod(number, SEGMENTS)
            name = f"audio/{recording:06}.wav"
            if segment == 0:
                _recording(folder / name, recording)
            near = number % 100 == 99
            text = f"{text} again" if near else " ".join(draw.choices(words, k=12))
            copied = number % 1000 == 500
            if not copied:  # else the row before it once more
                row = {
                    "id": f"row-{number:09}",
                    "audio_filepath": name,
                    "offset": segment * SECONDS,
                    "duration": SECONDS,
                    "text": text,
                    "lang": "en",
                    "domain": ("calls", "studio", "street")[recording % 3],
                    "speaker": f"speaker-{recording:06}",
                    "split": "test" if recording % 20 == 19 else "train",
                }
            lines.write(json.dumps(row | {"id": f"row-{number:09}"}) + "\n")
    return manifest


def _recording(path: Path, number: int) -> None:
    """A recording that takes two blocks on the disk."""
    path.parent.mkdir(exist_ok=True)
    size = int(SEGMENTS * SECONDS * RATE * 2)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", size),
    )
    with path.open("wb") as stream:
        stream.write(header + struct.pack("<I", number))
        stream.truncate(44 + size)


def _words() -> list[str]:
    """Different words of the bundled corpus."""
    lines = (EXAMPLE_CORPUS / "proceed.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted({word for line in lines for word in json.loads(line)["text"].split()})


class Steps:
    """Processor seconds of each step, and the time that all took."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}
        self.wall = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step; several of one name count together."""
        began, then = _processor(), time.monotonic()
        yield
        wall = time.monotonic() - then
        spent = _processor() - began
        self.wall += wall
        self.found[name] = self.found.get(name, 0.0) + spent
        print(f"  {name}: {spent:.1f} s, wall {wall:.1f} s, {_peak():.0f} MB", file=sys.stderr)


def _used() -> list[resource.struct_rusage]:
    """What this process has used, and those that it started."""
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def _processor() -> float:
    return sum(used.ru_utime + used.ru_stime for used in _used())


def _peak() -> float:
    """The most memory that was in use so far, in MB: of both processes, as if at one time."""
    return sum(used.ru_maxrss for used in _used()) / 1000


def audit_of(manifest: Path, folder: Path) -> dict[str, Any]:
    """The steps of an audit that look at every row, in its order, without the alignment."""
    from asr_gate.audit.acoustic import load_model
    from asr_gate.audit.checks import run_rules
    from asr_gate.audit.checks.rule import Context
    from asr_gate.audit.engine.keys import code_version
    from asr_gate.audit.gate.read import read_report
    from asr_gate.audit.pairing.places import Places
    from asr_gate.audit.pairing.search import TextSearch
    from asr_gate.audit.policy import load_policy
    from asr_gate.audit.prepare import lengths_of
    from asr_gate.audit.records.power import Calibration
    from asr_gate.audit.records.report import REPORT_FILE, ROWS_FILE
    from asr_gate.audit.report.write import write_table
    from asr_gate.audit.sample.plan import draw
    from asr_gate.corpus.fingerprint import fingerprint, in_order, to_lines
    from asr_gate.corpus.read import read_corpus
    from asr_gate.corpus.write import clean_jsonl

    policy = load_policy()
    gate = policy.gate.model_copy(update={"audio": "sampled"})
    policy = policy.model_copy(update={"gate": gate})
    model = load_model("embedded", language=None, device="cpu")
    steps = Steps()
    with steps.step("read"):
        corpus = read_corpus([manifest])
    with steps.step("fingerprint"):
        identity = fingerprint(corpus, audio="sampled", cached=False)
    with steps.step("plan"):
        rows = len(corpus.utterances)
        quotas, minimum = policy.sampling.quotas, policy.sampling.minimum
        fraction, content = SAMPLE / rows, identity.digest
        draw(
            corpus.utterances,
            fraction=fraction,
            seed=0,
            quotas=quotas,
            minimum=minimum,
            content=content,
        )
        lengths_of(corpus)
    with steps.step("texts"):
        search = TextSearch(
            model, corpus, made_by=code_version(), keep=False, say=lambda line: None
        )
        search.close()
        Places(corpus)
    with steps.step("rules"):
        context = Context(
            policy=policy,
            corpus=corpus,
            content=identity.comparable(),
            language=model.info.language,
            calibration=Calibration({}, {}, {}),
            absolute_thresholds={},
        )
        found = len(list(run_rules([], context)))
    with steps.step("report"):
        tables = {ROWS_FILE: write_table(folder / ROWS_FILE, to_lines(in_order(identity.rows)))}
        write_table(folder / "clean.jsonl", clean_jsonl(corpus, set()))
    example = read_report(EXAMPLE)
    dataset = example.dataset.model_copy(
        update={
            "fingerprint": identity.digest,
            "fingerprint_audio": "sampled",
            "utterances": rows,
            "manifests": corpus.manifests,
        }
    )
    settings = {**example.policy, "gate": {**example.policy["gate"], "audio": "sampled"}}
    changed = {"dataset": dataset, "tables": tables, "policy": settings}
    report = example.model_copy(update=changed).sealed()
    (folder / REPORT_FILE).write_bytes(report.to_bytes())
    peak = _peak()
    return {
        "steps": steps.found,
        "wall": steps.wall,
        "peak": peak,
        "findings": found,
        "digest": identity.digest,
    }


def measured(rows: int, folder: Path, *, clean: bool = False) -> dict[str, Any]:
    """What one manifest takes; each command is a process of its own."""
    manifest = make(folder, rows)
    own = [sys.executable, "-m", "bench.scale_rows", "--audit", str(manifest)]
    found: dict[str, Any] = json.loads(subprocess.run(own, check=True, stdout=-1).stdout)
    found["gate"] = _command("gate", str(folder), "--data", str(manifest), "--accept-caution")
    if clean:
        found["clean"] = _command("clean", str(folder), "--data", str(manifest), "--drop", "D001")
    return found


def _command(*words: str) -> tuple[float, float, float]:
    """Processor and wall seconds of a command, and the most memory that it had, in MB."""
    asr = str(Path(sys.executable).with_name("asr"))
    then = time.monotonic()
    child = os.posix_spawn(asr, [asr, *words], os.environ)
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"asr {' '.join(words)} failed"
    return used.ru_utime + used.ru_stime, time.monotonic() - then, used.ru_maxrss / 1000


def table(sizes: Sequence[int]) -> list[str]:
    """Measure manifests of these sizes."""
    lines: list[str] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="rows-", dir="/var/tmp") as folder:
            found = measured(rows, Path(folder))
        if not lines:
            names = " | ".join([*found["steps"], "all, s"])
            rest = "wall, s | memory, MB"
            lines.append(f"| rows | {names} | {rest} | gate, s | {rest} |")
            lines.append("|---:" * (len(found["steps"]) + 7) + "|")
        seconds = " | ".join(f"{one:.1f}" for one in found["steps"].values())
        spent, wall, memory = found["gate"]
        lines.append(
            f"| {rows:,} | {seconds} | {sum(found['steps'].values()):.0f} | {found['wall']:.0f} "
            f"| {found['peak']:.0f} | {spent:.1f} | {wall:.1f} | {memory:.0f} |"
        )
        print(lines[-1], f"{found['findings']} findings, {found['digest']}")
    return lines


def clean_too(rows: int) -> None:
    """Measure `asr clean` on one manifest, and put it into the page."""
    with tempfile.TemporaryDirectory(prefix="rows-", dir="/var/tmp") as folder:
        found = measured(rows, Path(folder), clean=True)
    spent, wall, memory = found["clean"]
    line = (
        f"`asr clean --drop D001` on {rows:,} rows: {spent:.0f} s of processor time, {wall:.0f} s "
        f"of wall time, {memory:.0f} MB; load of the machine {os.getloadavg()[0]:.1f}.\n"
    )
    print(line)
    replace_figures(PAGE, "clean", line)


def main() -> None:
    """Measure, print, and put the table into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", type=int, help="of each manifest")
    parser.add_argument("--audit", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--clean", type=int, metavar="ROWS", help="what asr clean takes, alone")
    options = parser.parse_args()
    if options.clean:
        clean_too(options.clean)
        return
    if options.audit:
        print(json.dumps(audit_of(options.audit, options.audit.parent)))
        return
    lines = table(options.rows)
    load = os.getloadavg()[0]
    said = f"Processor seconds; load of the machine {load:.1f} at the end.\n"
    replace_figures(PAGE, "rows", "\n".join(lines) + "\n\n" + said)


if __name__ == "__main__":
    main()
