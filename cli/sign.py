"""`asr sign`."""

from __future__ import annotations

from pathlib import Path

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import REPORT


@click.command(
    "sign",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr sign reports/phase0 --key release.pem",
)
@click.argument("report", required=False, type=REPORT)
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path),
    help="Private key: Ed25519, PEM. Make one with: openssl genpkey -algorithm ed25519 -out FILE",
)
@debug_option
def command(report: Path | None, key: Path) -> int:
    """Sign a report, whatever its decision; REPORT is a file or an audit's folder.

    Without REPORT, the newest under reports/ is signed. The signature lies beside it; asr gate and
    asr train check it with --verify-key.
    """
    from asr_gate.audit.gate import check_tables, find_latest, read_report
    from asr_gate.audit.gate.remote import written_beside
    from asr_gate.audit.gate.signature import sign
    from asr_gate.corpus.mirror import named
    from asr_gate.corpus.text.plain import plain

    path = report or find_latest(Path("reports"))
    folder = path if path.is_dir() else path.parent
    found = read_report(path)
    check_tables(found, folder)
    written = sign(found, folder, key)
    written_beside(written)
    show(lambda: click.echo(plain(named(f"{written}: {path}, {found.decision}"))))
    return 0
