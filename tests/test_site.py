"""The documentation as a site: it builds strictly, holds together offline, and its reference is complete."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import subprocess
import sys
import typing
from collections import deque
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer

import kardia
from kardia.cli.app import COMMANDS
from kardia.errors import KardiaError
from kardia.judge.profile import JudgeProfile

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md"))
LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}


class Links(HTMLParser):
    """Where a page leads, and what it loads; the ids on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif (tag, name) in LOADS and value:
                self.loads.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.leads.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for needed in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: the site needs kardia[docs]")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html", "-d"]
    done = subprocess.run(
        [*command, str(target / ".doctrees"), str(DOCS), str(target)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="module")
def read(site):
    """The text of a page of the site, as HTML."""
    return lambda name: (site / f"{name}.html").read_text("utf-8")


def test_every_page_is_reachable_and_every_link_leads_somewhere(site):
    pages = {path.relative_to(site).as_posix(): Links(path.read_text("utf-8")) for path in site.rglob("*.html")}
    reached, due = set(), deque(["index.html"])
    while due:
        name = due.popleft()
        if name in reached:
            continue
        reached.add(name)
        for link in pages[name].leads:
            path, _, anchor = link.partition("#")
            if "://" in path:
                continue
            target = (site / name).parent / path if path else site / name
            assert target.exists(), f"{name}: {link}"
            place = target.resolve().relative_to(site.resolve()).as_posix()
            if place.endswith(".html"):
                assert not anchor or unescape(anchor) in pages[place].ids, f"{name}: {link}"
                due.append(place)
    assert {f"{page}.html" for page in PAGES} <= reached


def test_nothing_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        for link in Links(path.read_text("utf-8")).loads:
            assert not re.match(r"(\w+:)?//", link), f"{path}: {link}"
    for path in site.rglob("*.css"):
        text = re.sub(r"url\(\s*['\"]?data:[^)]*\)", "", path.read_text("utf-8"))
        assert not re.search(r"url\(\s*['\"]?(\w+:)?//|@import", text), path


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"<h[1-6]>{re.escape(heading)}<a.*?(?=<h[1-6]>|</article>)", text, re.DOTALL)
    assert found, f"there is no heading {heading}"
    return found[0]


def plain(text: str) -> str:
    """The words of a piece of HTML."""
    return unescape(re.sub(r"<[^>]*>", "", text))


def declared(function: typing.Any) -> list[str]:
    """The options of a command, as its function declares them."""
    names = []
    for hint in typing.get_type_hints(function, include_extras=True).values():
        parts = [hint, *typing.get_args(hint)]  # Python 3.10 makes `Optional` of what is None by default
        for note in (note for part in parts for note in getattr(part, "__metadata__", ())):
            if isinstance(note, typer.models.OptionInfo):
                # in `Annotated`, Typer takes the first name for the default, until it looks closer
                names += [part for each in (note.default, *note.param_decls) for part in str(each).split("/")]
    return [each for each in names if each.startswith("-")]


def functions() -> list[tuple[str, typing.Any]]:
    """Every command by the words that call it."""
    found = []
    for name, (place, _) in COMMANDS.items():
        module, _, attribute = place.rpartition(".")
        value = getattr(importlib.import_module(f"kardia.cli.{module}"), attribute)
        if isinstance(value, typer.Typer):
            found += [
                (f"{name} {each.name or each.callback.__name__}", each.callback) for each in value.registered_commands
            ]
        else:
            found.append((name, value))
    return found


def test_every_command_and_option_is_on_its_page(read):
    page = read("reference/cli")
    commands = functions()
    assert len(commands) > 25
    seen = 0
    for words, function in commands:
        part = plain(section(page, f"kardia {words}"))
        for option in declared(function):
            seen += 1
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", part), f"kardia {words} {option}"
        assert re.split(r"[`'*]", inspect.getdoc(function))[0].split("\n")[0] in part, words
    assert seen > 150


def test_every_exit_code_is_explained(read):
    kinds, codes = [KardiaError], {0, 1}
    for kind in kinds:  # which grows
        codes.add(kind.exit_code)
        kinds += kind.__subclasses__()
    table = re.search(r"exit code.*?</table>", read("reference/cli"), re.DOTALL)[0]
    assert codes == {int(code) for code in re.findall(r"<td><p>(\d+)</p></td>", table)}


def keys_of(schema):
    """Every part of a JSON Schema that has keys: its title and its keys."""
    for name, part in (("", schema), *schema.get("$defs", {}).items()):
        if part.get("properties"):
            yield re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize(), part["properties"]


@pytest.mark.parametrize(
    ("name", "title", "schema"),
    [
        ("rubric", "A rubric", json.loads((ROOT / "rubrics" / "rubric.schema.json").read_text("utf-8"))),
        ("profile", "A profile", JudgeProfile.model_json_schema()),
    ],
    ids=["rubric", "profile"],
)
def test_every_key_is_on_its_page(read, name, title, schema):
    page = read(f"reference/{name}")
    for heading, keys in keys_of(schema):
        part = section(page, heading or title)
        rows = re.findall(r"<tr.*?</tr>", part, re.DOTALL)
        for key in keys:
            row = [each for each in rows if f'<span class="pre">{key}</span>' in each.partition("</td>")[0]]
            assert len(row) == 1, f"{heading or title}: {key}"
            kind = re.findall(r"<td>(.*?)</td>", row[0], re.DOTALL)[1]
            assert re.sub(r"<[^>]*>", "", kind).strip() not in ("", "anything"), f"{heading or title}: {key}"


def test_every_public_name_is_on_its_page(read):
    page = read("reference/python")
    for name in kardia.__all__:
        if name == "__version__":
            continue
        value = getattr(kardia, name)
        part = section(page, name)
        assert f'id="kardia.{name}"' in part
        words = plain(part)
        if inspect.isfunction(value):
            for parameter in inspect.signature(value).parameters:
                assert re.search(rf"\b{parameter}\b", words), f"{name}: {parameter}"
        assert "Annotated[" not in words, f"{name}: types that nobody can read"
        assert re.split(r"[`'*]", inspect.getdoc(value))[0].split("\n")[0] in words, name


# The pages themselves; these need no Sphinx


def test_the_first_page_lists_every_page():
    listed = re.findall(r"^- \[[^\]]+\]\(([\w/-]+)\.md\)", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(PAGES) - {"index"} <= set(listed)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_title(page):
    text = re.sub(r"^ *```.*?^ *```", "", (DOCS / f"{page}.md").read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def test_the_architecture_page_names_every_package():
    page = (DOCS / "architecture.md").read_text("utf-8")
    packages = {f"kardia/{path.parent.name}/" for path in (ROOT / "kardia").glob("*/__init__.py")}
    assert len(packages) > 15
    assert packages <= set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))


def test_what_the_architecture_page_names_is_there():
    for page in (DOCS / "architecture.md", ROOT / "CONTRIBUTING.md"):
        for name in re.findall(
            r"`((?:kardia|tests|benchmarks|judges|rubrics|training|docs)/[\w./-]*)`", page.read_text("utf-8")
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_figures_of_the_limits_are_those_of_their_sources():
    """Each decimal on the page is, rounded as it is there, in a table or on a card that the page names."""
    page = (DOCS / "limits.md").read_text("utf-8")
    sources = [ROOT / "benchmarks" / "README.md", *(ROOT / "judges").glob("*/README.md")]
    known = [each for path in sources for each in re.findall(r"(?<![\d.])\d?(\.\d+)", path.read_text("utf-8"))]
    figures = re.findall(r"(?<![\w.@])(\.\d+)", page)
    assert len(figures) > 15
    for figure in figures:
        digits = len(figure) - 1
        near = {f"{float(each):.{digits}f}"[1:] for each in known if len(each) > digits}
        assert figure in near, figure


def test_a_page_that_is_shown_is_a_file_of_the_repository():
    for page in (DOCS / "repository").glob("*.md"):
        shown = re.search(r"^<!-- shows: (\S+) -->$", page.read_text("utf-8"), re.MULTILINE)
        assert shown, page.name
        assert (ROOT / shown[1]).is_file(), shown[1]
