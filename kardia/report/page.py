"""The page: one HTML file that asks nobody for anything. Pure.

Its Content-Security-Policy allows its own scripts and styles by their hashes, and nothing else: no network, no inline
handler, no style attribute. Whatever comes from a conversation is in JSON, or compressed, in elements that no browser
runs, and its script puts it on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from kardia.report.pack import packed, safe_json

__all__ = ["CHARTS", "SCRIPTS", "page", "policy"]

CHARTS = "chart.umd.min.js"
"""Chart.js, as it is released; its version, licence and hash are in assets/THIRD_PARTY.md."""
LICENCE = "chart.LICENSE.txt"
"""Its licence, which every copy has to carry; and a report is one."""
SCRIPTS = (
    "dom.js",
    "store.js",
    "theme.js",
    "charts.js",
    "sections.js",
    "overview.js",
    "query.js",
    "list.js",
    "card.js",
    "app.js",
)
STYLES = ("base.css", "overview.css", "cards.css", "print.css")


def _asset(name: str) -> str:
    return files("kardia.report").joinpath("assets").joinpath(name).read_text("utf-8")


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") + "'"


def policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The Content-Security-Policy that allows just these."""
    allowed = " ".join(map(_digest, scripts))
    styled = " ".join(map(_digest, styles))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {styled}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def page(title: str, summary: dict[str, Any], index: dict[str, Any], chunks: Iterable[str]) -> Iterator[str]:
    """The page, piece by piece.

    Args:
        title: what it is called.
        summary: what the overview shows.
        index: as `Pack.index` gives it.
        chunks: of `Pack`.
    """
    charts = f"/*!\n{_asset(LICENCE)}*/\n" + _asset(CHARTS).replace("//# sourceMappingURL=chart.umd.min.js.map", "")
    own = '"use strict";\nconst kardia = {};\n' + "\n".join(map(_asset, SCRIPTS))
    style = "\n".join(map(_asset, STYLES))
    body = _asset("page.html").replace("{{title}}", escape(title))
    yield "<!doctype html>\n"
    yield '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(policy((charts, own), (style,)))}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
    yield f"<style>{style}</style>\n</head>\n"
    yield body
    yield f'<script type="application/json" id="summary">{safe_json(summary)}</script>\n'
    yield f'<script type="text/plain" id="index">{packed(index)}</script>\n'
    yield f"<script>{charts}</script>\n"
    # before the texts: the list can be used while they are still being read
    yield f"<script>{own}</script>\n"
    for chunk in chunks:
        yield f'<script type="text/plain" class="texts">{chunk}</script>\n'
    yield '<script type="text/plain" id="end"></script>\n</body>\n</html>\n'
