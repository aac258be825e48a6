"""`asr audit`."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from asr_gate.cli.all_rows import end_interrupted
from asr_gate.cli.audit_preview import show_preview
from asr_gate.cli.main import debug_option, one_interrupt, show
from asr_gate.cli.options import corpus_options, split_overrides, wandb_options
from asr_gate.cli.project import Project, Reading, load_project, reading
from asr_gate.corpus.environment import in_ci
from asr_gate.corpus.text.plain import plain

if TYPE_CHECKING:
    from asr_gate.audit.acoustic.interface import Precision
    from asr_gate.audit.pipeline import Settings
    from asr_gate.audit.report.destination import Destination


class _Console(Console):
    """Rich's console, which would end with exit code 1 where nobody reads, whatever the verdict."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _number(ctx: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """NaN passes every range."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number")
    return value


HOW = "--aligner (mms with --language CODE, hf:ID, nemo:FOLDER)"
DEMONSTRATION = (
    "WARNING: no aligner was named, so the demonstration model listens (embedded: English, 2.5 M "
    f"parameters). Do not rely on this verdict: name one with {HOW}, or in asr.toml"
)


def _require_named(
    project: Project, source: Reading, aligner: str | None, policy: Path | None
) -> None:
    """In CI nobody reads a warning, and whoever opens a pull request may bring an asr.toml.

    Raises:
        click.UsageError: the aligner, or a policy that asr.toml names, is not on the command line.
    """
    if aligner is None and not source.bundled:
        raise click.UsageError(f"in CI the aligner has to be named on the command line: {HOW}")
    if policy is None and project.audit.policy is not None:
        raise click.UsageError("in CI the policy of asr.toml is not taken; name it with --policy")


def _next(commands: Sequence[tuple[str, str]]) -> str:
    """Commands to run next, each with what it does below it."""
    lines = (line for command, why in commands for line in (f"  {plain(command)}", f"      {why}"))
    return "\n".join(["Next:", *lines])


def _measure_share(source: Reading, settings: Settings, place: Destination) -> int:
    """`--shard`: measure, and say what comes next."""
    from asr_gate.audit.pipeline import Interrupted, audit_share
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.corpus.mirror import named

    with one_interrupt():
        try:
            with AuditProgress() as progress:
                done = audit_share(source.read(), settings, progress)
        except Interrupted as interrupt:
            end_interrupted(interrupt, "go on with the same command")
    place.upload_shards()
    click.echo(
        f"shard {done.share}: {done.utterances} utterances are measured, {done.new} of them now, "
        f"in {plain(named(str(done.folder)))}"
    )
    click.echo("When all shards are there: the same command with --merge in place of --shard")
    return 0


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
    help="Folder of all audits, or its URL: s3://bucket/reports.  [default: reports]",
)
@click.option(
    "--aligner",
    metavar="SPEC",
    help="mms, hf:ID, hf:FOLDER, nemo:FOLDER, embedded (English, small: demos and tests), or "
    "embedded:FOLDER (trained from it).",
)
@click.option("--language", metavar="CODE", help="ISO 639 code of the transcripts.")
@click.option(
    "--romanize",
    is_flag=True,
    help="Give the aligner all texts in Latin letters (uroman), if it writes no others.",
)
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
@click.option(
    "--adapt",
    is_flag=True,
    help="Train the aligner on rows that a first pass trusts, and judge all rows by models that "
    "heard neither them nor their speaker (aligner embedded; extra torch).",
)
@click.option(
    "--adapt-minutes",
    type=click.FloatRange(0, min_open=True),
    callback=_number,
    default=10.0,
    show_default=True,
    help="Bound of that training, in minutes of one core.",
)
@click.option(
    "--texts",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="More texts that a row may say, beside those of the corpus: a manifest, or FILE.txt with "
    "one a line, or a URL of one; repeat for several.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sample.")
@click.option("--policy", type=click.Path(path_type=Path), help="Policy file.")
@corpus_options
@click.option("--resume", is_flag=True, help="Continue an interrupted audit.")
@click.option(
    "--shard",
    metavar="I/N",
    help="Measure one of N shares of the audit, for --merge; run again, it goes on.",
)
@click.option("--merge", is_flag=True, help="Make the report of what --shard measured.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Who measures: this process, or a Ray cluster (extra ray).",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="The Ray cluster.  [default: RAY_ADDRESS, else one on this machine]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Workers on the Ray cluster.  [default: as many as it has room for]",
)
@click.option(
    "--gpus-per-worker",
    type=click.FloatRange(0, 1, min_open=True),
    callback=_number,
    help="Share of a GPU that each worker takes.  [default: 1, if there are GPUs]",
)
@click.option(
    "--no-cache",
    "cache",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Measure everything, and keep nothing for later audits.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16", "int8"]),
    default="auto",
    show_default=True,
    help="Arithmetic of mms and hf models; auto: float32, on a GPU float16.",
)
@click.option(
    "--batch-seconds",
    type=click.FloatRange(1, 36000),
    callback=_number,
    default=60.0,
    show_default=True,
    help="Padded audio in one batch on a GPU, in seconds.",
)
@click.option(
    "--controls",
    type=click.IntRange(0),
    help="Defects to plant of each kind, to measure detection power; 0: none, at most CAUTION.  "
    "[default: the policy's, 385]",
)
@click.option(
    "--no-audio",
    "page_audio",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Put no audio into report.html.",
)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Ask ctc-forced-aligner, too, of the rows that are excluded (extra second-opinion); it "
    "decides nothing.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Measure a minute of the sample, show what the audit will take, and stop.",
)
@click.option(
    "--price",
    type=click.FloatRange(0),
    callback=_number,
    help="Of an hour of this machine, for --dry-run.",
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
    out: Path | None,
    aligner: str | None,
    language: str | None,
    romanize: bool,
    fraction: float | None,
    everything: bool,
    until_decided: bool,
    adapt: bool,
    adapt_minutes: float,
    texts: tuple[Path, ...],
    seed: int,
    policy: Path | None,
    split: str | None,
    audio_root: Path | None,
    resume: bool,
    shard: str | None,
    merge: bool,
    engine: str,
    address: str | None,
    workers: int | None,
    gpus_per_worker: float | None,
    cache: bool,
    device: str,
    precision: Precision,
    batch_seconds: float,
    controls: int | None,
    page_audio: bool,
    second_opinion: bool,
    dry_run: bool,
    price: float | None,
    strict: bool,
    as_json: bool,
    tracking: dict[str, Any],
) -> int:
    """Align a sample of the corpus, estimate its share of bad transcripts, and decide.

    MANIFEST is NeMo-style or Qwen3-ASR JSONL, CSV or TSV, a Common Voice or Kaldi folder, Lhotse
    cuts or Shar, WebDataset tar files, a Hugging Face dataset folder, a parquet file, or
    hf:OWNER/NAME; on disk, or at s3://, gs://, hf:// or https://. Without one, asr.toml names the
    corpus, or else the bundled example is used. asr.toml may also hold aligner, language,
    policy and more (asr init writes it). wandb.KEY=VALUE among the manifests sets how the audit is
    tracked.

    Exit codes: 0 for PROCEED and CAUTION, 20 for STOP, 30 where the aligner cannot tell right
    transcripts from wrong ones; with --strict, 10 for CAUTION.
    """
    if everything and fraction is not None:
        raise click.UsageError("--all and --fraction contradict each other; give one of them")
    if engine != "ray" and (address or workers or gpus_per_worker):
        raise click.UsageError("--address, --workers and --gpus-per-worker need --engine ray")
    if dry_run and (engine == "ray" or shard or merge):
        raise click.UsageError(
            "--dry-run measures on this machine, and says what several like it would take; leave "
            "out --engine ray, --shard and --merge"
        )
    if price is not None and not dry_run:
        raise click.UsageError("--price is for --dry-run")
    from asr_gate.audit.engine.on_ray import RayOptions
    from asr_gate.audit.engine.shards import Share
    from asr_gate.audit.gate.tables import AuditReport
    from asr_gate.audit.pipeline import Interrupted, Settings, audit
    from asr_gate.audit.policy import doubts, load_policy
    from asr_gate.audit.records.report import REPORT_FILE, Report
    from asr_gate.audit.report.destination import destination
    from asr_gate.audit.report.history import HISTORY
    from asr_gate.audit.report.next_steps import Data, next_commands, read_options
    from asr_gate.audit.report.page import PAGE_FILE
    from asr_gate.audit.report.publish import coverage_histogram, publish, rows_of, run_config
    from asr_gate.audit.report.terminal import print_report
    from asr_gate.audit.review.page_file import write_page
    from asr_gate.cli.progress import AuditProgress
    from asr_gate.corpus.labels import unmatched
    from asr_gate.corpus.mirror import named
    from asr_gate.tracking import Tracker, TrackerSettings

    manifests, more = split_overrides(manifests)
    project = load_project()
    source = reading(project, manifests, audio_root, split)
    if source.said:
        click.echo(source.said, err=True)
    if in_ci():
        _require_named(project, source, aligner, policy)
    romanize = romanize or (aligner is None and project.audit.romanize)
    aligner = aligner or project.audit.aligner
    demonstration = None if aligner or source.bundled else DEMONSTRATION
    if demonstration:
        click.secho(demonstration, fg="yellow", bold=True, err=True)
    policy = policy or project.audit.policy
    rules = load_policy(policy).with_controls(controls)
    for line in doubts(policy) if policy else ():
        click.echo(f"asr: warning: {plain(line)}", err=True)
    place = destination(out or project.output.reports, name)
    out = place.folder.parent
    settings = Settings(
        name=name,
        out=out,
        aligner=aligner or "embedded",
        language=language or (None if source.bundled else project.corpus.language),
        policy=rules,
        fraction=1.0 if everything else fraction or rules.sampling.fraction,
        seed=seed,
        resume=resume,
        cache=cache,
        device=device,
        batch_seconds=batch_seconds,
        until_decided=until_decided,
        precision=precision,
        romanize=romanize,
        adapt=adapt_minutes if adapt else None,
        share=Share.parse(shard) if shard else None,
        merge=merge,
        ray=RayOptions(address, workers, gpus_per_worker) if engine == "ray" else None,
        second_opinion=second_opinion,
        texts=texts,
    )
    if dry_run:
        return show_preview(source, settings, price, as_json)
    if settings.share:
        return _measure_share(source, settings, place)
    if merge:
        place.fetch_shards()
    defaults = TrackerSettings(run_name="phase0-audit", job_type="data_quality")
    tracker = Tracker(
        TrackerSettings.resolve(
            defaults, asr_toml=project.tracking.given(), command="audit", **{**more, **tracking}
        ),
        tensorboard=out / name / "tensorboard",
    )
    tracker.check()
    folder = place.folder
    data = Data(source.manifests, read_options(source.audio_root, source.split))
    if not manifests and project.corpus.manifests:  # later commands read asr.toml, too
        data = Data([], read_options(audio_root, split))

    def page(report: Report) -> None:
        found = AuditReport(folder / REPORT_FILE, report)
        write_page(found, corpus, rules.report, data, audio=page_audio, cache=cache)

    with one_interrupt():
        try:
            with AuditProgress() as progress:
                corpus = source.read()
                for rule in unmatched(source.labels, corpus):
                    said = ", ".join(f"{k} {v!r}" for k, v in rule if v is not None)
                    progress.say(f"asr: warning: asr.toml: no row matches the rule with {said}")
                if (before := out / name / REPORT_FILE).is_file():
                    made = datetime.fromtimestamp(before.stat().st_mtime)
                    progress.say(
                        f"the audit of {made:%Y-%m-%d %H:%M} in {out / name} moves to "
                        f"{out / name / HISTORY} when this one is done"
                    )
                result = audit(corpus, settings, progress, page)
        except Interrupted as interrupt:
            end_interrupted(interrupt, "go on with the same command and --resume")
    # Files of an earlier audit of this name would be drawn over ours.
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    rows = rows_of(result)
    with tracker:
        tracker.init(config=run_config(result.report))
        publish(result.report, rows, folder, tracker, corpus.utterances)
    place.upload()

    def summary() -> None:
        if as_json:
            click.echo(result.report.model_dump_json(indent=2))
        else:
            print_report(result.report, _Console(), coverage_histogram(result.report, rows))
            click.echo(named(f"\nReport: {folder / PAGE_FILE}"))
            click.echo(f"\n{_next(next_commands(result.report, folder, data))}")
        if demonstration:
            click.secho(demonstration, fg="yellow", bold=True, err=as_json)

    show(summary)
    decision = result.report.decision
    if decision == "CAUTION":
        return 10 if strict else 0
    return {"PROCEED": 0, "STOP": 20, "NO_VERDICT": 30}[decision]
