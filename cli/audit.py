"""`asr audit`."""

from __future__ import annotations

import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import split_overrides, wandb_options
from asr_gate.cli.project import manifests_or_default


class _Console(Console):
    """Rich's console, which would end with exit code 1 where nobody reads, whatever the verdict."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _number(ctx: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """NaN passes every range."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number")
    return value


@click.command(
    "audit",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr audit train.jsonl --name phase0 --aligner mms --language he --wandb",
)
@click.argument("manifests", nargs=-1, metavar="[MANIFEST]...")
@click.option("--name", default="phase0", show_default=True, help="Name of the audit.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder of all audits.",
)
@click.option(
    "--aligner",
    default="embedded",
    show_default=True,
    metavar="SPEC",
    help="embedded (English, small: demos and tests), mms, hf:ID, hf:FOLDER, nemo:FOLDER.",
)
@click.option("--language", metavar="CODE", help="ISO 639 code of the transcripts.")
@click.option(
    "--fraction",
    type=click.FloatRange(0, 1, min_open=True),
    callback=_number,
    help="Share of the corpus to align.  [default: the policy's, 0.1]",
)
@click.option("--all", "everything", is_flag=True, help="Align the whole corpus.")
@click.option(
    "--until-decided",
    is_flag=True,
    help="Align in random order and stop when the decision is certain; --fraction is then the "
    "limit.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sample.")
@click.option("--policy", type=click.Path(path_type=Path), help="Policy file.")
@click.option("--split", help="Which split of the manifest or dataset.")
@click.option(
    "--audio-root",
    type=click.Path(path_type=Path),
    help="Folder that audio must lie in.  [default: the manifest's]",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted audit.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(1, 36000),
    callback=_number,
    default=60.0,
    show_default=True,
    help="Padded audio in one batch, in seconds.",
)
@click.option(
    "--controls",
    type=click.IntRange(0),
    help="Defects to plant of each kind, to measure detection power; 0: none.  "
    "[default: the policy's, 385]",
)
@click.option("--strict", is_flag=True, help="Exit 10 on CAUTION.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON on standard output."
)
@wandb_options
@debug_option
def command(
    manifests: tuple[str, ...],
    name: str,
    out: Path,
    aligner: str,
    language: str | None,
    fraction: float | None,
    everything: bool,
    until_decided: bool,
    seed: int,
    policy: Path | None,
    split: str | None,
    audio_root: Path | None,
    resume: bool,
    device: str,
    batch_seconds: float,
    controls: int | None,
    strict: bool,
    as_json: bool,
    tracking: dict[str, Any],
) -> int:
    """Align a sample of the corpus, estimate its share of bad transcripts, and decide.

    MANIFEST is NeMo-style or Qwen3-ASR JSONL, CSV or TSV, a Common Voice or Kaldi folder, Lhotse
    cuts, a Hugging Face dataset folder, a parquet file, or hf:OWNER/NAME. Without one, asr.toml
    names the corpus, or else the bundled example is used. wandb.KEY=VALUE among them sets how the
    audit is tracked.

    Exit codes: 0 for PROCEED and CAUTION, 20 for STOP, 30 where the aligner cannot tell right
    transcripts from wrong ones; with --strict, 10 for CAUTION.
    """
    if everything and fraction is not None:
        raise click.UsageError("--all and --fraction contradict each other; give one of them")
    from asr_gate.audit.pipeline import Interrupted, Settings, audit
    from asr_gate.audit.policy import load_policy
    from asr_gate.audit.report.publish import coverage_histogram, publish, run_config
    from asr_gate.audit.report.terminal import print_report
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.corpus.read import read_corpus
    from asr_gate.tracking import Tracker, TrackerSettings

    manifests, more = split_overrides(manifests)
    names, root, said = manifests_or_default(manifests, audio_root)
    if said:
        click.echo(said, err=True)
    rules = load_policy(policy).with_controls(controls)
    settings = Settings(
        name=name,
        out=out,
        aligner=aligner,
        language=language,
        policy=rules,
        fraction=1.0 if everything else fraction or rules.sampling.fraction,
        seed=seed,
        resume=resume,
        device=device,
        batch_seconds=batch_seconds,
        until_decided=until_decided,
    )
    defaults = TrackerSettings(run_name="phase0-audit", job_type="data_quality")
    tracker = Tracker(
        TrackerSettings.resolve(defaults, **{**more, **tracking}),
        tensorboard=out / name / "tensorboard",
    )
    tracker.check()
    corpus = read_corpus(names, audio_root=root, split=split)
    try:
        with AuditProgress() as progress:
            result = audit(corpus, settings, progress)
    except Interrupted as interrupt:
        click.echo(
            f"\nasr: interrupted: {interrupt}; go on with the same command and --resume", err=True
        )
        sys.stdout.flush()
        sys.stderr.flush()
        # Python's own exit would wait for the alignments under way: minutes for an hour of speech.
        os._exit(130)
    folder = out / name
    # Files of an earlier audit of this name would be drawn over ours.
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    with tracker:
        tracker.init(config=run_config(result))
        publish(result, corpus.utterances, folder, tracker)

    def summary() -> None:
        if as_json:
            click.echo(result.report.model_dump_json(indent=2))
        else:
            print_report(result.report, _Console(), coverage_histogram(result))
            click.echo(f"\nReport: {folder / 'report.md'}")

    show(summary)
    decision = result.report.decision
    if decision == "CAUTION":
        return 10 if strict else 0
    return {"PROCEED": 0, "STOP": 20, "NO_VERDICT": 30}[decision]
