"""A command that has another beside it, chosen by the first argument."""

from __future__ import annotations

import importlib
from typing import Any

import click


class WithOther(click.Command):
    """A command with an argument of its own, where one word in its place names another command.

    `asr eval CHECKPOINT MANIFEST` evaluates, `asr eval compare A B` is a command by itself.
    """

    def __init__(self, *arguments: Any, other: str, module: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.other = other
        self.module = module
        """Whose `command` it is; imported when it is called."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of whichever command is meant."""
        if [one for one in args if one != "--debug"][:1] != [self.other]:
            return super().make_context(info_name, args, parent, **extra)
        at = args.index(self.other)
        command = importlib.import_module(self.module).command
        assert isinstance(command, click.Command)
        return command.make_context(
            f"{info_name} {self.other}", args[:at] + args[at + 1 :], parent, **extra
        )
