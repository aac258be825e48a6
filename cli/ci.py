"""What `asr gate` leaves for CI: SARIF, JUnit, annotations and the summary of a GitHub step."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from asr_gate.audit.records.report import REPORT_FILE, SIGNATURE_FILE, Report
from asr_gate.cli.main import show
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically


@dataclass(frozen=True, slots=True)
class Outputs:
    """Which outputs were asked for."""

    sarif: Path | None
    junit: Path | None
    github: bool
    as_json: bool
    """Then annotations go to standard error, which GitHub reads too."""
    signed: bool
    """Whether a report that is relied on was signed with a key that was asked for."""

    def write(
        self, report: Report | None, held: str | None, path: Path, data: Sequence[str]
    ) -> None:
        """Write them all.

        Args:
            report: a report to rely on; None: it was refused.
            held: why training may not start; None: it may.
            path: where the report is, or should be.
            data: the manifests as they are named now; empty: as the report names them.

        Raises:
            UserError: a file cannot be written.
        """
        if not (self.sarif or self.junit or self.github):
            return
        if self.sarif and self.sarif == self.junit:
            raise UserError(f"{self.sarif}: named for --sarif and --junit; name two files")
        self._spare(report, path, data)
        from asr_gate.audit.report import github, junit, sarif
        from asr_gate.audit.report.locations import Locations

        places = Locations(data or (report.dataset.manifests if report else []), Path.cwd())
        reason = held or ""  # of a refusal there is always one
        if self.sarif:
            log = (
                sarif.sarif(report, places, signed=self.signed)
                if report
                else sarif.sarif_of_refusal(reason, places.file(path))
            )
            _write_file(self.sarif, json.dumps(log, ensure_ascii=False).encode())
        if self.junit:
            suites = junit.junit(report, places, held) if report else junit.junit_of_refusal(reason)
            _write_file(self.junit, suites)
        if self.github:
            if report:
                lines = github.annotation_lines(report, places, held)
                summary = github.step_summary(report, places, held, signed=self.signed)
            else:
                lines = [github.command("error", "asr gate", reason)]
                summary = github.summary_of_refusal(reason)
            show(lambda: click.echo("\n".join(lines), err=self.as_json))
            values = github.outputs(report)
            if missing := github.append_for_runner(os.environ, summary, values):
                click.echo(f"asr: {', '.join(missing)} not set: nothing appended there", err=True)

    def _spare(self, report: Report | None, path: Path, data: Sequence[str]) -> None:
        """Refuse to write over what the gate reads.

        Raises:
            UserError: a file of the audit, or a manifest, is named for an output.
        """
        folder = path if path.is_dir() else path.parent
        names = {REPORT_FILE, SIGNATURE_FILE, *(report.tables if report else ())}
        read = {(folder / name).resolve() for name in names}
        read |= {Path(manifest).resolve() for manifest in data}
        for file in (self.sarif, self.junit):
            if file is not None and file.resolve() in read:
                raise UserError(f"{file}: is what the gate reads; name another file")


def _write_file(path: Path, content: bytes) -> None:
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: stands there and is no file; name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another") from error
