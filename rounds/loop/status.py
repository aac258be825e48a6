"""What the rounds came to, as a table, a picture and metrics."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.loop.state import Round
from asr_gate.tracking import Tracker
from asr_gate.train.files import write_file

HEADINGS = ["round", "audit", "WER", "gain", "cases", "corrected", "outcome"]


def domains_of(rounds: Sequence[Round]) -> list[str]:
    """Every domain that was tested on, in the order of the first round that has it."""
    return list(dict.fromkeys(name for one in rounds for name in rates(one)))


def rates(one: Round) -> dict[str, float]:
    """WER by domain; none if the round did not come so far."""
    step = one.steps.get("evaluate")
    return {} if step is None else step.facts.get("domains", {})


def wer(one: Round) -> float | None:
    """WER over all domains."""
    step = one.steps.get("evaluate")
    return None if step is None else step.facts.get("wer")


def table(rounds: Sequence[Round]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells."""
    domains = domains_of(rounds)
    rows = []
    for one in rounds:
        audit, gate = one.steps.get("audit"), one.steps.get("gate")
        found, gain = rates(one), None if gate is None else gate.facts.get("gain")
        rows.append(
            [
                str(one.number),
                "" if audit is None else audit.facts.get("decision", ""),
                _percent(wer(one)),
                "" if gain is None else f"{100 * gain:.1f} %",
                str(one.statuses.get("open", "")),
                str(one.statuses.get("corrected", "")),
                one.outcome,
                *(_percent(found.get(name)) for name in domains),
            ]
        )
    return [*HEADINGS[:4], "open cases", *HEADINGS[5:], *domains], rows


def as_dict(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {
            **one.model_dump(mode="json"),
            "outcome": one.outcome,
            "wer": wer(one),
            "domains": rates(one),
        }
        for one in rounds
    ]


def plot(rounds: Sequence[Round], path: Path) -> None:
    """Write WER by round and domain, promotions and cases as a picture (PNG or SVG).

    Raises:
        UserError: another suffix, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UserError(f"--plot {path}: end the name in .png or .svg")
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    numbers = [one.number for one in rounds]
    nothing = float("nan")  # leaves a gap
    for name in domains_of(rounds):
        above.plot(numbers, [rates(one).get(name, nothing) for one in rounds], "--", label=name)
    overall = [nothing if (rate := wer(one)) is None else rate for one in rounds]
    above.plot(numbers, overall, "k-", label="overall")
    promoted = [(one.number, wer(one)) for one in rounds if one.promoted]
    refused = [(one.number, wer(one)) for one in rounds if not one.promoted and wer(one)]
    for points, mark, label in ((promoted, "go", "promoted"), (refused, "rx", "refused")):
        if points:
            x, y = zip(*points, strict=True)
            above.plot(x, y, mark, label=label, markersize=9)
    above.set_ylabel("WER")
    if rounds:
        above.legend()
    heights = [0] * len(rounds)
    for status in ("open", "corrected", "confirmed", "dropped"):
        counts = [one.statuses.get(status, 0) for one in rounds]
        below.bar(numbers, counts, bottom=heights, label=status, width=0.6)
        heights = [height + count for height, count in zip(heights, counts, strict=True)]
    below.set_ylabel("cases")
    below.set_xlabel("round")
    below.set_xticks(numbers)
    below.legend()
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_file(path, content.getvalue())


def log_rounds(tracker: Tracker, rounds: Sequence[Round]) -> None:
    """Log the table and, of the newest round, WER, cases and promotions; the run has begun."""
    headings, rows = table(rounds)
    tracker.log_table("rounds/all", headings, rows)
    promotions = sum(one.promoted for one in rounds)
    metrics: dict[str, object] = {"rounds/count": len(rounds), "rounds/promotions": promotions}
    if rounds:
        last = rounds[-1]
        metrics |= {f"rounds/wer/{name}": rate for name, rate in rates(last).items()}
        metrics |= {f"rounds/cases/{status}": count for status, count in last.statuses.items()}
        if (overall := wer(last)) is not None:
            metrics["rounds/wer/overall"] = overall
    tracker.log_metrics(metrics)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
