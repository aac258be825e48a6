"""The tables, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from asr_gate.audit.records.controls import KINDS
from bench.detection.boundaries import Times
from bench.detection.competitors import COMPETITORS
from bench.detection.flagged import Flagged
from bench.detection.measure import Measurement
from bench.detection.speed import Speed

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
            str(found.others[n][kind]) if n in found.others else ABSENT
            for n in range(len(COMPETITORS))
        ]
        lines.append(
            _row(
                kind,
                f"**{tally.share_found(kind):.2f}**",
                f"{tally.share_pointed(kind):.2f}",
                f"{100 * tally.share_alarms(kind):.1f} %",
                f"{100 * tally.underpowered[kind] / tally.calibrations:.0f} %",
                str(found.evidence[kind]),
                str(found.quality[kind]),
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


def boundaries(times: Times) -> str:
    """Word times."""
    lines = [
        f"{len(times.found[0].errors)} words; our alignment keeps {times.kept} of them and gives "
        "the others the time between their neighbours. Delay found without labels: "
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
