"""The rules' catalogue: code, name, severity, summary and fix of each, read from its page.

A rule's page, `audit/checks/pages/CODE.md`, is the one source of what is said about it: `asr
explain` prints it, and reports, SARIF and the documentation's table of rules quote its head.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast, get_args

from asr_gate.corpus.errors import UserError

Severity = Literal["error", "warning", "info"]

_HEAD = re.compile(r"# (\w+) ([\w-]+)\n\nSeverity: (\w+)\. (.+?)\n\n", re.DOTALL)
_FIX = re.compile(r"^## Fix\n\n(.+?\.)(?:\s|$)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RuleText:
    """What is said about one rule."""

    code: str
    """Stable for ever: a letter for what it looks at (A alignment, D data, R review, S signal, T
    text)."""
    name: str
    severity: Severity
    """An error makes the utterance one of low quality. The policy may say another."""
    summary: str
    fix: str
    """What to do about it, in one sentence."""
    page: str
    """The whole page, Markdown."""


@cache
def catalogue() -> Mapping[str, RuleText]:
    """All rules by code, in the order of their codes.

    Raises:
        ValueError: a page has another head than the others, or no sentence under `## Fix`.
    """
    pages = files("asr_gate.audit").joinpath("checks", "pages").iterdir()
    found = [_parsed(page.name, page.read_text(encoding="utf-8")) for page in pages]
    return MappingProxyType({rule.code: rule for rule in sorted(found, key=lambda r: r.code)})


def find_rule(name: str) -> RuleText:
    """A rule by its code or its name.

    Raises:
        UserError: there is none; the message names those that are near.
    """
    wanted = name.strip().lower()
    rules = catalogue().values()
    for rule in rules:
        if wanted in (rule.code.lower(), rule.name):
            return rule
    known = {given: rule.code for rule in rules for given in (rule.code.lower(), rule.name)}
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3)
    hint = f"; near it: {', '.join(dict.fromkeys(known[n] for n in near))}" if near else ""
    raise UserError(f"{name or repr(name)}: no such rule{hint}; asr rules lists them")


def _parsed(file: str, page: str) -> RuleText:
    head, fix = _HEAD.match(page), _FIX.search(page)
    if head is None or fix is None or head[3] not in get_args(Severity):
        raise ValueError(f"{file}: not a rule's page; see CONTRIBUTING.md, how to add a rule")
    code, name, _, summary = head.groups()
    severity = cast(Severity, head[3])
    return RuleText(code, name, severity, " ".join(summary.split()), " ".join(fix[1].split()), page)
