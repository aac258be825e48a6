"""What to run next: commands as they can be typed, for this report and its data."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.causes import strongest_first
from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import LOCAL, Report
from asr_gate.corpus.mirror import named
from asr_gate.corpus.storage import url_of
from asr_gate.corpus.utterance import Corpus

NO_LANGUAGE = ("und", "mul")
"""What a report says where the audit was given no language."""


@dataclass(frozen=True, slots=True)
class Data:
    """What was audited, as it is named on a command line."""

    manifests: Sequence[str]
    options: Sequence[str] = ()
    """To read them with: `--split train`."""

    def audit(self) -> list[str]:
        """As arguments of `asr audit`."""
        return [*self.manifests, *self.options]

    def others(self) -> list[str]:
        """As arguments of the other commands."""
        return [*(part for m in self.manifests for part in ("--data", m)), *self.options]


def read_options(audio_root: Path | None, split: str | None) -> list[str]:
    """`--audio-root` and `--split`, as they were given."""
    root = None if audio_root is None else url_of(audio_root) or audio_root
    given = {"--audio-root": root, "--split": split}
    return [part for name, value in given.items() if value for part in (name, str(value))]


def next_commands(report: Report, folder: Path, data: Data) -> list[tuple[str, str]]:
    """The commands that help most now, each with what it does.

    Args:
        report: the report.
        folder: of the audit.
        data: what was audited.
    """
    see = [(_line("findings", folder), "every row with a finding, its file and line")]
    if report.findings:
        see.append((review_command(folder, data), "listen to them, and say which are right"))
    clean, drop = ["clean", folder, *data.others()], "what cleaning would drop"
    check = (_line(*clean, "--dry-run"), drop)
    if report.pairing.found or report.pairing.moved:
        sampled = report.total_samples < report.dataset.utterances
        rest = ["--all-rows"] if sampled else []
        put_back = f"{drop} if it gives rows the text that they say"
        check = (
            _line(*clean, "--repair", *rest, "--dry-run"),
            f"{put_back}, all rows audited first" if sampled else put_back,
        )
    least = report.policy.get("decision", {}).get("min_sampled", 0)
    few = report.total_samples < min(least, report.dataset.utterances)
    if report.decision == "NO_VERDICT" and few:
        more = audit_again(report, data, everything=True)
        return [(more, "sample all of it"), *see, check]
    if report.decision == "NO_VERDICT":
        other = _line("audit", *data.audit(), "--aligner", "mms", "--language", "CODE")
        why = (_line("explain", "A010"), "why an aligner cannot tell")
        return [(other, "with a better aligner"), *see, why]
    if report.decision == "STOP":
        explain = _line("explain", _commonest_cause(report))
        return [*see, (explain, "why most rows are excluded"), check]
    accepted = ["--accept-caution"] if report.decision == "CAUTION" else []
    train = _line("train", "round2", *data.others(), "--report", folder, *accepted)
    return [*see, check, (train, "train on what is not excluded")]


def review_command(folder: Path, data: Data) -> str:
    """The command that serves the rows of this audit to listeners."""
    return _line("review", folder, *data.options)


def correct_command(folder: Path, data: Data) -> str:
    """The command that writes what the page exports into a copy of the corpus."""
    return _line("correct", *data.others(), "--report", folder, "--corrections", "review.jsonl")


def _commonest_cause(report: Report) -> str:
    """The rule that explains most of the excluded rows."""
    by_id: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_id.setdefault(finding.id, []).append(finding)
    causes = Counter(
        strongest_first(found)[0].code for found in by_id.values() if any(map(excludes, found))
    )
    return next((code for code, _ in causes.most_common(1)), "A001")


def audit_again(
    report: Report, data: Data, *, everything: bool = False, name: str | None = None
) -> str:
    """The command that audits other data as this report's was audited.

    A policy that is not the default one has no name in the report: it is written as FILE.

    Args:
        report: the report.
        data: what to audit.
        everything: whether to sample all of it, whatever was sampled before.
        name: of the new audit; None: it replaces this one.
    """
    arguments = [*data.audit(), *(["--name", name] if name else [])]
    arguments += ["--aligner", aligner_spec(report)]
    if report.aligner.language not in NO_LANGUAGE:
        arguments += ["--language", report.aligner.language]
    if report.aligner.romanized and report.aligner.name != "mms":
        arguments.append("--romanize")
    default = load_policy().model_dump(mode="json")
    own = dict(report.policy)
    planted = own.get("controls", {}).get("per_kind")
    if planted not in (None, default["controls"]["per_kind"]):
        arguments += ["--controls", str(planted)]
        own["controls"] = own["controls"] | {"per_kind": default["controls"]["per_kind"]}
    if own and own != default:
        arguments += ["--policy", "FILE"]
    corpus = Corpus([], list(data.manifests))
    for one in report.pairing.files:
        placed = corpus.placed(one.file)
        arguments += ["--texts", url_of(placed) or os.path.relpath(placed)]
    sampling = report.sampling
    if sampling.sequential is not None and not everything:
        arguments.append("--until-decided")
    if everything or sampling.fraction == 1.0:
        arguments.append("--all")
    elif sampling.fraction != own.get("sampling", {}).get("fraction"):
        arguments += ["--fraction", f"{sampling.fraction:g}"]
    if sampling.seed:
        arguments += ["--seed", str(sampling.seed)]
    return _line("audit", *arguments)


def _line(*arguments: object) -> str:
    return shlex.join(["asr", *(named(str(one)) for one in arguments)])


def aligner_spec(report: Report) -> str:
    """The `--aligner` of a report; with `FOLDER` for a local model, whose place it does not say."""
    kind, _, place = report.aligner.name.partition(":")
    local = kind in ("embedded", "nemo") or report.aligner.revision == LOCAL
    return f"{kind}:FOLDER" if place and local else report.aligner.name
