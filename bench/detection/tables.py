"""The tables, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asr_gate.audit.detection.figures import Detection
from asr_gate.audit.records.controls import EVIDENCE, KINDS, THRESHOLD_KINDS, Kind
from bench.detection.boundaries import Times
from bench.detection.competitors import COMPETITORS
from bench.detection.flagged import Flagged
from bench.detection.further import Share
from bench.detection.measure import Measurement
from bench.detection.rates import Rate
from bench.detection.speed import Speed
from bench.detection.spoiled import Spoiled

ABSENT = "not installed"


def detection(condition: str, found: Measurement) -> str:
    """One condition, a row a kind of defect."""
    tally = found.tally
    titles = [f"{c.package}: {c.score}" for c in COMPETITORS]
    lines = [
        f"**{condition}** (greedy WER {100 * found.wer:.0f} %)\n\n",
        _row(
            "defect",
            "audit: found",
            "any finding there",
            "false alarms",
            "underpowered",
            "evidence",
            "quality",
            *titles,
        ),
        _row("---", *["---:"] * (6 + len(titles))),
    ]
    for kind in KINDS:
        others = [
            _cell(found.others[n], kind) if n in found.others else ABSENT
            for n in range(len(COMPETITORS))
        ]
        lines.append(
            _row(
                kind,
                f"**{tally.share_found(kind):.2f}**",
                f"{tally.share_pointed(kind):.2f}",
                f"{100 * tally.share_alarms(kind):.1f} %",
                f"{100 * tally.underpowered[kind] / tally.calibrations:.0f} %",
                _cell(found.evidence, kind),
                _cell(found.quality, kind),
                *others,
            )
        )
    lines.append(
        f"\nUtterances as they are in which any of the evidence passes: "
        f"{100 * tally.any_alarm / tally.judged:.1f} %. Removed words, by boundary rather than by "
        f"utterance: {found.boundary}."
    )
    if tally.unheard:
        lines.append(
            f" Too few tokens (A010), so nothing is searched in them: "
            f"{100 * tally.unheard / tally.judged:.1f} %."
        )
    if found.unfit:
        lines.append(
            f" Planted transcripts that the audio is too short for, left out: {found.unfit}."
        )
    return "".join(lines) + "\n\n"


def held_out(conditions: Mapping[str, Detection]) -> str:
    """False alarms on rows that did not set the thresholds."""
    lines = [
        _row("recordings", "right utterances", *EVIDENCE),
        _row("---", *["---:"] * (1 + len(EVIDENCE))),
    ]
    for name, found in conditions.items():
        mean, worst = found.held_out.false_alarms, found.held_out.worst_false_alarms
        cells = [f"{100 * mean[one]:.1f} % ({100 * worst[one]:.1f} %)" for one in EVIDENCE]
        lines.append(_row(name, str(found.right), *cells))
    return "".join(lines)


def spoiled(found: Sequence[Spoiled]) -> str:
    """What is found where many rows have the same defect."""
    lines = [
        _row("rows with the defect", *THRESHOLD_KINDS),
        _row("---:", *["---:"] * len(THRESHOLD_KINDS)),
    ]
    for share in dict.fromkeys(one.share for one in found):
        here = {one.kind: one for one in found if one.share == share}
        cells = [
            f"{here[kind].found:.2f} ({100 * here[kind].false_alarms:.1f} %)"
            for kind in THRESHOLD_KINDS
        ]
        lines.append(_row(f"{100 * share:.0f} %", *cells))
    return "".join(lines)


def further(found: Sequence[Share]) -> str:
    """Defects of the sound, and numbers."""
    lines = [
        _row("defect", "planted", "found", "as an error"),
        _row("---", "---:", "---:", "---:"),
    ]
    for one in found:
        lines.append(
            _row(
                one.kind,
                str(one.planted),
                f"{one.found} ({100 * one.found / max(1, one.planted):.0f} %)",
                f"{one.errors} ({100 * one.errors / max(1, one.planted):.0f} %)",
            )
        )
    return "".join(lines)


def figures(conditions: Mapping[str, Detection]) -> str:
    """Areas under the curves, with their intervals."""
    names = list(dict.fromkeys(kind for one in conditions.values() for kind in one.kinds))
    lines = [
        _row("defect", *(f"{name}: {what}" for name in conditions for what in ("AUROC", "AP"))),
        _row("---", *["---:"] * (2 * len(conditions))),
    ]
    for kind in names:
        cells: list[str] = []
        for one in conditions.values():
            there = one.kinds[kind].figures
            cells += [
                f"{f.value:.3f} ({f.low:.3f} to {f.high:.3f})"
                for f in (there.auroc, there.average_precision)
            ]
        lines.append(_row(kind, *cells))
    return "".join(lines)


def _cell(rates: Mapping[Kind, Rate], kind: Kind) -> str:
    return str(rates[kind]) if kind in rates else "-"


def boundaries(times: Times) -> str:
    """Word times."""
    lines = [
        f"{len(times.found[0].errors)} words, of which our alignment keeps {times.kept}. "
        "Delay found without labels: "
        f"{1000 * times.delay.delay:.0f} ms.\n\n",
        _row(
            "aligner",
            "starts late, median",
            "ends late, median",
            "starts within 50 ms",
            "ends",
            "starts, median taken out",
            "ends",
        ),
        _row("---", *["---:"] * 6),
    ]
    for one in times.found:
        lines.append(
            _row(
                one.name,
                *(f"{1000 * median:.0f} ms" for median in one.medians),
                *(f"{100 * share:.0f} %" for share in (*one.near, *one.shifted.near)),
            )
        )
    return "".join(lines)


def speed(found: Sequence[Speed]) -> str:
    """Seconds and ratios; the first is what the others are compared with."""
    lines = [
        _row("alignment", "seconds", "times torchaudio's", "audio over time"),
        _row("---", "---:", "---:", "---:"),
    ]
    for one in found:
        lines.append(
            _row(
                one.name,
                f"{one.seconds:.3f}",
                f"{one.seconds / found[0].seconds:.2f}",
                f"{one.audio / one.seconds:,.0f}",
            )
        )
    return "".join(lines)


def cost(times: float) -> str:
    """What the controls cost."""
    return (
        f"An audit's measurements (decoding, emissions, alignment) take {times:.2f} times as long "
        "with every kind of control in every utterance as with none.\n\n"
    )


def flagged(found: Sequence[Flagged], of: int) -> str:
    """Utterances with nothing planted that the audit holds wrong."""
    lines = [
        f"{len(found)} of {of} are flagged by most of the thresholds that other utterances set, "
        "clean and with nothing planted:\n\n",
        _row("utterance", "what the audit says"),
        _row("---", "---"),
    ]
    lines += [_row(f"`{one.id}`", "; ".join(one.places)) for one in found]
    return "".join(lines)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
