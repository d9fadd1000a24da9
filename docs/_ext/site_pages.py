"""Makes a site of pages that are plain Markdown, for those who read them in the repository.

- `<!-- made: NAME -->` becomes what `reference` makes of the code.
- A page with `<!-- shows: PATH -->` is that file of the repository.
- Links to a file that the site shows lead to its page; those to any other file of the repository become its path.
- The lists of links on the first page are the site's table of contents.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import reference
from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent

MADE: Mapping[str, Callable[[], str]] = {
    "cli": reference.cli,
    "rubric": reference.rubric,
    "profile": reference.profile,
    "python": reference.python,
}

_MADE = re.compile(r"^<!-- made: ([a-z]+) -->$", re.MULTILINE)
_SHOWS = re.compile(r"^<!-- shows: (\S+) -->$", re.MULTILINE)
_FENCE = re.compile(r"^ *(`{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_ENTRY = re.compile(r"^- \[[^\]]+\]\(([\w/-]+)\.md\)", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_lexer("csv", TextLexer)
    app.connect("env-get-outdated", _outdated)
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _restructure, priority=400)  # before napoleon, which splits at colons
    app.connect("autodoc-process-signature", _sign)
    return {"parallel_read_safe": True}


def shown(folder: Path = DOCS) -> dict[str, str]:
    """The files of the repository that the site shows: path → page. Both are relative, to the root and to docs/."""
    found = {}
    for page in sorted(folder.rglob("*.md")):
        marker = _SHOWS.search(page.read_text("utf-8"))
        if marker:
            found[marker[1]] = page.relative_to(folder).with_suffix("").as_posix()
    return found


def contents(text: str) -> list[tuple[str, list[str]]]:
    """The headings of the first page with the pages that are listed below them."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    sections = [(title, _ENTRY.findall(body)) for title, body in zip(parts[::2], parts[1::2], strict=True)]
    return [(title, pages) for title, pages in sections if pages]


def _outdated(app: Sphinx, env: object, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages that another build may make otherwise: the contents, and what is made from the code."""
    return ["index", *(page for page in app.env.found_docs if _MADE.search((DOCS / f"{page}.md").read_text("utf-8")))]


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    text = source[0]
    home = PurePosixPath("docs", name).parent
    marker = _SHOWS.search(text)
    if marker:
        home = PurePosixPath(marker[1]).parent
        text = (ROOT / marker[1]).read_text("utf-8")
        app.env.note_dependency(str(ROOT / marker[1]))
    if name == "index":
        entries = contents(text)
    text = _outside_fences(text, lambda part: _relink(part, home, name))
    text = _MADE.sub(lambda found: MADE[found[1]](), text)
    if name == "index":
        text += "".join(_toctree(title, pages) for title, pages in entries)
    source[0] = text


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Changes a text where it is no code."""
    made, start = [], 0
    for fence in _FENCE.finditer(text):
        made += [change(text[start : fence.start()]), fence[0]]
        start = fence.end()
    return "".join([*made, change(text[start:])])


def _relink(text: str, home: PurePosixPath, name: str) -> str:
    """`home`: the folder that links are relative to, in the repository; `name`: the page that they are on."""
    pages = shown()

    def link(found: re.Match[str]) -> str:
        path, _, anchor = found[2].partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return found[0]
        target = os.path.normpath(home / path).replace(os.sep, "/")
        page = pages.get(target) or pages.get(f"{target}/README.md")
        if page is None and target.startswith("docs/"):
            page = target.removeprefix("docs/").removesuffix(".md")
        if page is not None:
            where = os.path.relpath(f"/{page}.md", f"/{PurePosixPath(name).parent}").replace(os.sep, "/")
            return f"[{found[1]}]({where}{'#' + anchor if anchor else ''})"
        if not (ROOT / target).exists():
            return found[0]  # the build then says that it leads nowhere
        words = found[1] if target in found[1] else f"{found[1]} (`{target}` in the repository)"
        return words

    return _LINK.sub(link, text)


def _restructure(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Docstrings are written as people write Markdown: one backtick is code."""
    # between a word and code that touches it stands nothing: `\\ `
    lines[:] = _CODE.sub(lambda found: f"\\ ``{found[1]}``\\ ", "\n".join(lines)).split("\n")


def _sign(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Models of what people write have no signature: it would be every key with its checks."""
    return ("", None) if hasattr(value, "model_fields") else (signature, returns)


def _toctree(title: str, pages: list[str]) -> str:
    lines = "\n".join(pages)
    return f"\n\n```{{toctree}}\n:caption: {title}\n:hidden:\n:titlesonly:\n\n{lines}\n```\n"
