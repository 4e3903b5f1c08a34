"""Text that tries to be more than text: for a browser, a terminal, a spreadsheet or LaTeX."""

from __future__ import annotations

from itertools import islice, product

_PAYLOADS = (
    "<script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
    "<svg onload=document.title='run'>",
    "</script><script>document.title='run'</script>",
    "</style><style>body{display:none}</style>",
    "javascript:document.title='run'",
    "<iframe srcdoc='<script>parent.document.title=1</script>'>",
    "<!--",
    "]]>",
    "<a href='javascript:document.title=1'>x</a>",
    "<meta http-equiv=refresh content='0;url=http://localhost:1/'>",
    "<link rel=stylesheet href=http://localhost:1/x.css>",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://localhost:1/","x")',
    "+1+1",
    "-1+1",
    "@SUM(A1:A9)",
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\u202eright to left",
    "\u0000null",
    "a" * 5_000,
    "\n\n\n",
    "\t=1+1",
    "\\input{/etc/passwd}",
    "\\write18{ls}",
    "% & $ # _ { } ~ ^ \\",
    "{{7*7}}",
    "${7*7}",
    "'; DROP TABLE runs; --",
    '"><b>',
    "'><b>",
    "&lt;b&gt;",
    "\ud83d\ude00",
    "\ufeff",
    "\u2028line",
)
_BEFORE = ("", " ", '"', "'", "x", "\r", "-->", "/", "0", "<", "&", "é", "happy ", "]", ",")


def hostile_texts(count: int = 500) -> list[str]:
    """Texts, the same ones every time; no two are alike."""
    made = (before + payload for before, payload in product(_BEFORE, _PAYLOADS))
    return list(islice(dict.fromkeys(one.encode("utf-16", "surrogatepass").decode("utf-16") for one in made), count))
