"""`asr policy`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from asr_gate.cli.main import debug_option
from asr_gate.cli.main import show as print_out


@click.group("policy", context_settings={"help_option_names": ["-h", "--help"]})
@debug_option
def command() -> None:
    """Show and check policies: every threshold that turns measurements into a decision.

    \b
    Example:
      asr policy show > policy.toml
      asr policy check policy.toml
      asr audit train.jsonl --policy policy.toml
    """


@command.command(
    "show",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr policy show > policy.toml",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@debug_option
def show(file: Path | None, as_json: bool) -> int:
    """Print the default policy, or every value in force under FILE and where it comes from."""
    from asr_gate.audit.policy import DEFAULT_FILE, load_policy, origins

    policy = load_policy(file)
    if as_json:
        text = policy.model_dump_json(indent=2)
    elif file is None:
        text = DEFAULT_FILE.read_text(encoding="utf-8").rstrip("\n")
    else:
        lines: list[str] = []
        section = ""
        for line, value, given in origins(policy, file):
            head, _, key = line.rpartition(".")
            if head != section:
                lines += [""] * bool(section) + [f"[{head}]"]
                section = head
            lines.append(f"{key} = {_toml(value)}  # {file if given else 'default'}")
        text = "\n".join(lines)
    print_out(lambda: click.echo(text))
    return 0


def _toml(value: object) -> str:
    """A value in TOML, whose tables are not JSON's."""
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value, ensure_ascii=False)


@command.command(
    "check",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: asr policy check policy.toml",
)
@click.argument("file", type=click.Path(path_type=Path))
@debug_option
def check(file: Path) -> int:
    """Check a policy file, and say what it changes and what is hardly meant.

    Exit codes: 0 a policy; 2 not one, with the key that is wrong.
    """
    from asr_gate.audit.policy import doubts, load_policy, origins
    from asr_gate.corpus.text.plain import plain

    policy = load_policy(file)
    for line in doubts(file):
        click.echo(f"asr: warning: {plain(line)}", err=True)
    changed = [
        (line, default, value)
        for (line, value, given), (_, default, _) in zip(
            origins(policy, file), origins(load_policy(), None), strict=True
        )
        if given and value != default
    ]
    lines = [f"{line}: {_toml(default)} -> {_toml(value)}" for line, default, value in changed]
    values = "1 value" if len(changed) == 1 else f"{len(changed)} values"
    lines.append(f"{file}: a policy, with {values} other than the default's")
    print_out(lambda: click.echo("\n".join(lines)))
    return 0
