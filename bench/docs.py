"""Figures into documents: what stands between two markers is remade, the rest is left alone."""

from __future__ import annotations

import re
from pathlib import Path


def replace_figures(page: Path, name: str, figures: str) -> None:
    """Put `figures` between `<!-- NAME -->` and `<!-- /NAME -->` of a page.

    Raises:
        ValueError: the page has no such markers.
    """
    text = page.read_text(encoding="utf-8")
    between = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not between.search(text):
        raise ValueError(f"{page}: no markers <!-- {name} --> and <!-- /{name} -->")
    remade = between.sub(lambda found: found[1] + figures + found[2], text)
    page.write_text(remade, encoding="utf-8")
