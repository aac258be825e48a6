"""`asr bench-detection`."""

from __future__ import annotations

from pathlib import Path

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options


@click.command(
    "bench-detection",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr bench-detection train.jsonl --aligner mms --language he --rows 500",
)
@click.argument("manifests", nargs=-1, required=True, metavar="MANIFEST...")
@click.option("--aligner", required=True, metavar="SPEC", help="Acoustic model, as in asr audit.")
@click.option("--language", metavar="CODE", help="ISO 639 code of the transcripts.")
@click.option(
    "--known",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rows known to be wrong or doubtful: TOML, [[row]] with id, verdict and how.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=20),
    default=1000,
    show_default=True,
    help="Most rows to measure, drawn at random.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports/detection"),
    show_default=True,
    help="Folder for detection.json and curves.csv.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@corpus_options
@debug_option
def command(
    manifests: tuple[str, ...],
    aligner: str,
    language: str | None,
    known: Path | None,
    rows: int,
    seed: int,
    out: Path,
    device: str,
    audio_root: Path | None,
    split: str | None,
) -> None:
    """Measure how well an aligner tells defects from right transcripts in a corpus.

    Defects are planted in the transcripts, as an audit does, and rows of --known are looked for.
    All other rows count as right, so errors that nobody knows of count as false alarms. It writes
    figures with bootstrap intervals, and the points of the ROC and precision-recall curves.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from asr_gate.audit.acoustic import load_model
    from asr_gate.audit.detection.figures import detection
    from asr_gate.audit.detection.files import CURVES_FILE, FIGURES_FILE, write_figures
    from asr_gate.audit.detection.known import read_known
    from asr_gate.audit.detection.measure import draw_rows, measure_planted
    from asr_gate.audit.policy import load_policy
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.corpus.read import read_corpus

    marked = [] if known is None else read_known(known)
    corpus = read_corpus(manifests, audio_root=audio_root, split=split)
    chosen = draw_rows(corpus, rows, seed, marked)
    model = load_model(aligner, language=language, device=device)
    policy = load_policy()
    with AuditProgress() as progress:
        measured = measure_planted(chosen, model, seed=seed, batch_seconds=60.0, progress=progress)
    found = detection(
        measured,
        policy,
        wrong={row.id for row in marked if row.verdict == "wrong"},
        doubtful={row.id for row in marked if row.verdict == "doubtful"},
        speakers={row.id: row.speaker for row in chosen if row.speaker is not None},
        seed=seed,
    )
    about = {
        "aligner": model.info.name,
        "weights_sha256": model.info.weights_sha256,
        "rows": len(chosen),
        "seed": seed,
        "known": [row.model_dump() for row in marked],
    }
    write_figures(out, {"as it is": found}, about)
    table = Table("defect", "AUROC", "average precision", "found", box=SIMPLE_HEAD, pad_edge=False)
    for name, kind in found.kinds.items():
        auroc, precision = kind.figures.auroc, kind.figures.average_precision
        share = found.held_out.found.get(name)
        table.add_row(
            name,
            f"{auroc.value:.3f} ({auroc.low:.3f} to {auroc.high:.3f})",
            f"{precision.value:.3f} ({precision.low:.3f} to {precision.high:.3f})",
            "" if share is None else f"{share:.0%}",
        )
    console = Console()
    with console.capture() as drawn:
        console.print(table)
    alarms = ", ".join(f"{e} {share:.1%}" for e, share in found.held_out.false_alarms.items())
    show(
        lambda: click.echo(
            f"{drawn.get()}Right rows that pass, by evidence: {alarms}\n"
            f"Written: {out / FIGURES_FILE}, {out / CURVES_FILE}"
        )
    )
