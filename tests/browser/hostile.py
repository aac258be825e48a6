"""Five hundred texts that a page must show as they are: markup, scripts, bidi, templates."""

from __future__ import annotations

import random

_PARTS = (
    "<script>alert(1)</script>", "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>", "javascript:alert(1)", "<iframe src=//evil.example></iframe>",
    "<!--", "-->", "<![CDATA[", "]]>", "&lt;b&gt;", "&amp;", "&#60;", "\"'><b>", "` ${alert(1)}",
    "{{7*7}}", "{% raw %}", "<%= 7*7 %>", "$data", "${title}", "%s%n", "\\u003cscript\\u003e",
    "\u2028", "\u2029", "\ufeff", "\u00ad", "😀", "שלום", "مرحبا", "e\u0301",
    "a" * 200, "\\", "'", '"', "<style>*{display:none}</style>", "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>", "<form action=//evil.example><input></form>",
    "<a href=javascript:alert(1)>x</a>", "<math><mi//xlink:href='data:x,alert(1)'>",
    "<textarea>", "</textarea>", "<template>", "</title>", "constructor", "__proto__", "toString",
)  # fmt: skip


def _made() -> list[str]:
    choose = random.Random(20)
    found = list(_PARTS)
    while len(found) < 500:
        found.append("".join(choose.choices(_PARTS, k=choose.randint(2, 5))))
    return found


HOSTILE = _made()
