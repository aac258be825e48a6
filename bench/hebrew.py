"""What is found in real Hebrew speech, by the Hebrew model and by an English one on Latin letters?

Plants the audit's own controls in the transcripts of real recordings, and gives the same
transcripts and emissions to our lattice and to other people's aligners, as `bench.detection` does
for English. Measures word times against labels, and audits the recordings by the real command, with
their own transcripts and with moved ones. Needs a NeMo-style manifest with Hebrew speech (`--data`,
default `../shared/speech/manifest.jsonl`) and an English model (`--aligner`, default the QuartzNet
15x5 export of `../shared/models`). The Hebrew model is the one that comes with the project, or that
of a folder (`--hebrew`).

Run: python -m bench.hebrew
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from asr_gate.audit.acoustic import AcousticModel, load_model
from asr_gate.audit.policy import load_policy
from asr_gate.embedded.files import SHIPPED, shipped
from bench.detection import tables
from bench.detection.__main__ import PAGE as DETECTION
from bench.detection.boundaries import Boundaries, boundaries
from bench.detection.data import hand_times, utterances
from bench.detection.material import Material, collect
from bench.detection.measure import DRAWS, measure
from bench.docs import replace_figures
from bench.needed import Missing, hebrew_too
from bench.real_speech import PAGE as REAL_SPEECH
from bench.real_speech import audit, hebrew, moved

LABELLED = "heblang_"
"""How the ids begin of the rows with word times, which are good to 200 ms."""
NEAR = (0.05, 0.1, 0.2)
"""Seconds."""
PAUSED = 0.1
"""A label that comes so many seconds before speech goes on stands in a pause."""
MOVED = 12


def main() -> None:
    """Measure, print, and put the tables into the pages."""
    data, english, hebrew = hebrew_too(__doc__)
    if hebrew == "embedded" and shipped("he") == SHIPPED:
        raise Missing("no Hebrew weights come with the project; name a folder with --hebrew")
    torch.set_num_threads(1)
    detected, times = "", ""
    for name, spec, romanize in (("embedded", hebrew, False), ("English", english, True)):
        model = load_model(spec, language="he", device="cpu", romanize=romanize)
        given = collect(model, utterances(data, "he"))
        detected += _detected(_title(name, model), given)
        times += _times(_title(name, model), given, data)
    replace_figures(DETECTION, "detection-hebrew", detected)
    replace_figures(DETECTION, "times-hebrew", times)
    audited = "".join(_audited(data, ((hebrew, ()), (english, ("--romanize",)))))
    replace_figures(REAL_SPEECH, "real-speech-hebrew", audited)


def _title(name: str, model: AcousticModel) -> str:
    latin = ", texts in Latin letters" if model.info.romanised else ""
    return f"{name}: {model.info.name}, {model.info.revision}{latin}"


def _detected(title: str, given: Material) -> str:
    """What everyone detects."""
    minutes = sum(u.duration or 0.0 for u in given.utterances) / 60
    many = f"{len(given.utterances)} utterances, {minutes:.1f} minutes, {DRAWS} draws of defects"
    return _show(tables.detection(f"{title}; {many}", measure(given, load_policy())))


def _times(title: str, given: Material, data: Path) -> str:
    """Everyone's word starts."""
    found = boundaries(given, hand_times(data, LABELLED))
    spoken = found.waits <= PAUSED
    ranges = [f"{1000 * near:.0f} ms" for near in NEAR]
    lines = [
        f"**{title}**; {len(spoken)} words, of which our alignment keeps {found.kept}; "
        f"{(~spoken).sum()} labels stand in a pause\n\n",
        f"| aligner | starts late, median | within {' | within '.join(ranges)} | "
        f"labels in no pause: within {' | within '.join(ranges)} |\n",
        f"|---|{'---:|' * (1 + 2 * len(NEAR))}\n",
        *(_starts(one, spoken) for one in found.found),
    ]
    return _show("".join([*lines, "\n"]))


def _starts(one: Boundaries, spoken: NDArray[np.bool_]) -> str:
    shares = " | ".join(
        f"{100 * some.shifted.within(near)[0]:.0f} %"
        for some in (one, one.of(spoken))
        for near in NEAR
    )
    return f"| {one.name} | {1000 * one.medians[0]:.0f} ms | {shares} |\n"


def _audited(data: Path, aligners: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """What the real command says."""
    rows = hebrew(data)
    some = {row["id"]: row for row in moved(rows[:: len(rows) // MOVED][:MOVED])}
    yield (
        f"{len(rows)} Hebrew utterances.\n\n| aligner | transcripts | median coverage "
        "| right ones excluded | moved ones excluded | decision |\n|---|---|---:|---:|---:|---|\n"
    )
    for spec, options in aligners:
        for kind, changed in (
            ("right", rows),
            (f"{MOVED} moved", [some.get(row["id"], row) for row in rows]),
            ("all moved to the next", moved(rows)),
        ):
            yield _show(_line(kind, rows, changed, spec, data.parent, options))


def _line(
    kind: str,
    rows: Sequence[dict[str, Any]],
    changed: Sequence[dict[str, Any]],
    spec: str,
    root: Path,
    options: Sequence[str],
) -> str:
    """One audit."""
    wrong = {b["id"] for a, b in zip(rows, changed, strict=True) if a["text"] != b["text"]}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        report = audit(changed, spec, root, folder, "--language", "he", *options)
        table = pyarrow.parquet.read_table(folder / "phase0" / "utterances.parquet").to_pylist()
    low = {row["id"] for row in table if row["low_quality"]}
    right = len(rows) - len(wrong)
    return (
        f"| {report['aligner']['name']}{' (romanised)' if options else ''} | {kind} "
        f"| {report['coverage_distribution']['p50']:.2f} "
        f"| {f'{len(low - wrong)} of {right}' if right else ''} "
        f"| {f'{len(low & wrong)} of {len(wrong)}' if wrong else ''} | {report['decision']} |\n"
    )


def _show(text: str) -> str:
    print(text, flush=True)
    return text


if __name__ == "__main__":
    main()
