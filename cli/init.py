"""`asr init`."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asr_gate.cli.main import debug_option, show
from asr_gate.cli.options import corpus_options

if TYPE_CHECKING:
    from asr_gate.corpus.overview import Overview


@click.command(
    "init",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr init data/train data/dev --aligner mms --language he --yes",
)
@click.argument("manifests", nargs=-1, metavar="[MANIFEST]...")
@corpus_options
@click.option(
    "--domains/--no-domains",
    default=None,
    help="Take the folders of the audio for domains, if the rows have none.",
)
@click.option("--language", metavar="CODE", help="Language of the transcripts.")
@click.option("--aligner", metavar="SPEC", help="As for asr audit.  [default: mms]")
@click.option("--yes", is_flag=True, help="Ask nothing; take what is found.")
@click.option("--force", is_flag=True, help="Replace an asr.toml that is there.")
@debug_option
def command(
    manifests: tuple[str, ...],
    audio_root: Path | None,
    split: str | None,
    domains: bool | None,
    language: str | None,
    aligner: str | None,
    yes: bool,
    force: bool,
) -> int:
    """Look at the data, ask up to five questions, and write asr.toml.

    A question whose flag is given is not asked. No audio is listened to.
    """
    from asr_gate.cli.project import FILE, Project, reading
    from asr_gate.corpus.errors import UserError
    from asr_gate.corpus.files import write_atomically
    from asr_gate.corpus.overview import overview
    from asr_gate.corpus.read import locate
    from asr_gate.corpus.text.language import require_language
    from asr_gate.corpus.text.plain import plain

    if os.path.lexists(FILE) and not force:
        raise UserError(f"{FILE}: is there already; change it, or replace it with --force")
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("nobody can answer here: give flags and --yes")

    def ask(question: str, default: str) -> str:
        default = plain(default)  # what manifests say may steer a terminal
        return default if yes else str(click.prompt(plain(question), default=default)).strip()

    try:
        names = list(manifests) or shlex.split(ask("Manifests", shlex.join(_candidates())))
    except ValueError as error:
        raise click.UsageError(f"these are no names as a shell reads them: {error}") from error
    if not names:
        raise click.UsageError("found no manifest here; name one")
    found = overview(reading(Project(), names, audio_root, split).read())
    sources = [source for name in names for source in locate(name, split)]
    forms = dict.fromkeys(source.format.manifests for source in sources)
    show(lambda: click.echo("\n".join(map(plain, [f"format: {', '.join(forms)}", *_told(found)]))))
    named = _splits_of(names, found)
    splits = list(found.splits) or sorted({part for _, part in named})
    if len(splits) > 1 and split is None:
        split = ask(f"Splits to audit (all, or one of {', '.join(splits)})", "all")
        split = None if split == "all" else split
        if split is not None and split not in splits:
            raise click.UsageError(f"no split {split!r}; there are {', '.join(splits)}")
    if domains is None and list(found.domains) == ["default"] and found.folders:
        told = ", ".join(found.folders)
        domains = ask(f"Are these folders domains: {told}", "yes").lower() in ("y", "yes")
    own = next(iter(found.languages), None) or found.guessed or ""
    language = language or ask("Language of the transcripts (ISO 639 code)", own)
    if language:
        require_language(language, "--language")
    aligner = aligner or ask("Aligner (mms, hf:ID, nemo:FOLDER; embedded is for demos)", "mms")
    kind, _, place = aligner.partition(":")
    if place and kind in ("embedded", "nemo") and not os.path.isdir(place):  # noqa: PTH112
        raise click.UsageError(f"--aligner {aligner}: there is no such folder")
    rules = [{"manifest": _pattern(name), "split": part} for name, part in named]
    if domains:
        rules += [
            {"audio": f"{glob.escape(one)}/*", "domain": Path(one).name} for one in found.folders
        ]
    root = audio_root if audio_root and _inside(audio_root) else None
    content = _toml(names, root, split, language or None, aligner, rules)
    write_atomically(FILE, content.encode())
    outside = audio_root if root is None else None

    def summary() -> None:
        click.echo(f"{FILE} is written; docs/settings.md lists what else it can hold")
        if outside:
            click.echo(
                plain(
                    f"The audio lies outside of this folder, which {FILE} cannot allow: add "
                    f"--audio-root {outside}, or set ASR_AUDIO_ROOT={outside} once"
                )
            )
        if kind in ("mms", "hf") and find_spec("torch") is None:
            click.echo(f"The aligner {kind} needs torch: pip install 'asr-gate[torch]'")
        more = f" --audio-root {shlex.quote(str(outside))}" if outside else ""
        click.echo(plain(f"Next: asr audit{more}"))

    show(summary)
    return 0


def _candidates() -> list[str]:
    """Manifests here and in `data`, by their names alone."""
    found: list[str] = []
    for folder in (Path(), Path("data")):
        for ending in ("jsonl", "jsonl.gz", "csv", "tsv", "parquet"):
            found += sorted(str(path) for path in folder.glob(f"*.{ending}"))
        found += sorted(str(path.parent) for path in folder.glob("*/wav.scp"))
    return [name for name in found if ".clean" not in name][:10]


def _splits_of(names: list[str], found: Overview) -> list[tuple[str, str]]:
    """Manifests whose names say a split, where no row does and there are several."""
    if found.splits or len(names) < 2:
        return []
    from asr_gate.corpus.formats.format import SPLIT_NAME

    named = [(name, SPLIT_NAME.match(Path(name).name)) for name in names]
    return [(name, match[1]) for name, match in named if match]


def _pattern(name: str) -> str:
    """A pattern of a manifest and of what `asr clean` makes of it."""
    path = Path(name)
    stem, dot, _ = path.name.partition(".")
    return glob.escape(str(path.with_name(stem))) + ".*" if dot and stem else glob.escape(name)


def _told(found: Overview) -> list[str]:
    def counts(values: dict[str, int]) -> str:
        return ", ".join(f"{value} {count}" for value, count in list(values.items())[:8])

    lines = [f"{found.rows} rows" + (f", {found.skipped} skipped" if found.skipped else "")]
    lines[0] += "" if found.hours is None else f", {found.hours:.1f} hours"
    languages = counts(found.languages) or f"none named; it looks like {found.guessed or 'nothing'}"
    lines += [f"languages: {languages}", f"splits: {counts(found.splits) or 'none named'}"]
    return [*lines, f"domains: {counts(found.domains)}"]


def _inside(folder: Path) -> bool:
    return folder.resolve().is_relative_to(Path.cwd().resolve())


def _toml(
    names: list[str],
    root: Path | None,
    split: str | None,
    language: str | None,
    aligner: str,
    rules: list[dict[str, str]],
) -> str:
    import tomlkit

    corpus = {
        "manifests": names,
        "audio_root": str(root) if root else None,
        "split": split,
        "language": language,
        "rules": rules or None,
    }
    given = {key: value for key, value in corpus.items() if value is not None}
    content = tomlkit.dumps({"corpus": given, "audit": {"aligner": aligner}})
    return f"# Settings of asr-gate: docs/settings.md\n\n{content}"
