"""The page: what it allows, what it is made of, and whether its colours can be read."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from itertools import product

import pytest

from kardia.errors import InputError, OutputError
from kardia.report.page import CHARTS, SCRIPTS
from kardia.report.report import make_report, write_report

from .cardfile import TEXT, card, judgment, mixed, row, write

ASSETS = files("kardia.report").joinpath("assets")
HOSTILE = "</script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("page") / "s.jsonl", mixed(12))
    return make_report(path, title="A <b>title</b>")


def test_only_its_own_script_and_style_are_allowed(html):
    allowed = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#x27;", "'")
    assert allowed.startswith("default-src 'none'; ")
    assert "unsafe" not in allowed
    for kind, pattern in (("script-src", r"<script>(.*?)</script>"), ("style-src", r"<style>(.*?)</style>")):
        found = re.findall(pattern, html, re.DOTALL)
        hashes = {"'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'" for one in found}
        assert found
        assert set(re.search(kind + " ([^;]*)", allowed)[1].split()) == hashes


def test_it_asks_for_nothing(html):
    outside = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"?([^\">]*)", outside) == ["data:,", "#cards"]
    assert "sourceMappingURL" not in html
    assert not re.search(r"\s(?:on[a-z]+|style)=", outside)


def test_data_cannot_leave_its_element(tmp_path):
    path = write(tmp_path / "s.jsonl", [card(HOSTILE, metadata={HOSTILE: HOSTILE}, group=HOSTILE)])
    html = make_report(path, title=HOSTILE)
    assert 'onerror="' not in html
    assert len(re.findall("<script>", html)) == 2


def test_it_carries_the_licence_of_what_it_copies(html):
    assert "The above copyright notice and this permission notice shall be included in all copies" in html
    assert "Jukka Kurkela" in html  # @kurkle/color is inside Chart.js


def test_no_script_reads_data_as_html():
    for name in SCRIPTS:
        source = (ASSETS / name).read_text("utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "fetch(",
        ):
            assert word not in source, (name, word)
        assert "</script" not in source


def test_the_chart_library_is_the_released_one():
    notice = (ASSETS / "THIRD_PARTY.md").read_text("utf-8")
    assert hashlib.sha256((ASSETS / CHARTS).read_bytes()).hexdigest() in notice
    assert re.match(r"/\*!\n \* Chart\.js v4\.6\.1\n", (ASSETS / CHARTS).read_text("utf-8"))
    assert "MIT" in (ASSETS / "chart.LICENSE.txt").read_text("utf-8")


def test_assets_are_readable():
    for path in ASSETS.iterdir():
        if path.name.endswith((".js", ".css")) and path.name != CHARTS:
            lines = path.read_text("utf-8").splitlines()
            assert len(lines) < 400, path.name
            assert max(map(len, lines)) < 150, path.name


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palettes():
    style = (ASSETS / "base.css").read_text("utf-8")
    blocks = [
        dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r"\{[^{}]*--page:[^{}]*\}", style)
    ]
    assert len(blocks) == 3
    assert blocks[1] == blocks[2]  # by the system, and by the switch
    return blocks[:2]


@pytest.mark.parametrize("colours", palettes(), ids=["light", "dark"])
def test_every_text_can_be_read(colours):
    """WCAG 2.2 AA: 4.5 : 1 for text, 3 : 1 for what is no text but must be seen."""
    for text, ground in product(("text", "muted", "accent", "warn"), ("page", "sheet")):
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    pairs = [
        ("accent", "accent-soft"),
        ("warn", "warn-soft"),
        ("text", "mark"),
        ("muted", "accent-soft"),
        ("text", "accent-soft"),
        *(("text", f"shade-{at}") for at in range(1, 5)),
    ]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("page", "sheet", "accent-soft"):
        assert contrast(colours["focus"], colours[ground]) >= 3
    for seen, ground in (("edge", "page"), ("edge", "sheet"), ("mark-line", "sheet"), ("mark-line", "page")):
        assert contrast(colours[seen], colours[ground]) >= 3, (seen, ground)


def test_more_than_can_be_listed_is_sampled_and_said(tmp_path):
    path = write(tmp_path / "s.jsonl", mixed(50))
    made = write_report(path, tmp_path / "r.html", most=20)
    assert (made.cards, made.listed) == (50, 20)
    assert "a sample of 20 of 50 scorecards" in made.notes[0]
    assert "a sample of 20 of 50 scorecards" in (tmp_path / "r.html").read_text("utf-8")
    assert write_report(path, tmp_path / "r.html", most=50).notes == ()


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = write(tmp_path / "s.jsonl", mixed(30))
    first, second = (make_report(path, most=10) for _ in range(2))
    assert first == second


def test_conversations_of_another_file_are_refused(tmp_path):
    path = write(tmp_path / "s.jsonl", [card("c1"), card("c2")])
    other = write(tmp_path / "d.jsonl", [row("c1", reply="Something else.")])
    with pytest.raises(InputError, match="do not belong together") as caught:
        write_report(path, tmp_path / "r.html", data=other)
    assert (caught.value.line, caught.value.key) == (1, "target")
    unknown = write(tmp_path / "e.jsonl", [row("c9")])
    with pytest.raises(InputError, match="holds none of the conversations"):
        write_report(path, tmp_path / "r.html", data=unknown)
    some = write(tmp_path / "f.jsonl", [row("c2")])
    made = write_report(path, tmp_path / "r.html", data=some)
    assert (made.without_context, len(made.notes)) == (1, 1)
    assert not (tmp_path / "r.html.partial").exists()


def test_a_rubric_of_another_content_lends_no_words(tmp_path):
    made = card()
    made["provenance"] = {**made["provenance"], "rubric": {"hash": "sha256:0"}}
    report = write_report(write(tmp_path / "s.jsonl", [made]), tmp_path / "r.html")
    assert "another content" in report.notes[0]
    unknown = card(rubric="nobodys@1.0.0")
    report = write_report(write(tmp_path / "s.jsonl", [unknown]), tmp_path / "r.html")
    assert "not at hand" in report.notes[0]


def test_where_it_cannot_be_written(tmp_path):
    path = write(tmp_path / "s.jsonl", [card()])
    with pytest.raises(OutputError, match="is an input"):
        write_report(path, path)
    with pytest.raises(OutputError, match="no folder"):
        write_report(path, tmp_path / "none" / "r.html")
    with pytest.raises(InputError, match="no such file"):
        write_report(tmp_path / "none.jsonl", tmp_path / "r.html")
    with pytest.raises(InputError, match="read twice"):
        write_report("-", tmp_path / "r.html")
    with pytest.raises(InputError, match="no scorecards"):
        write_report(write(tmp_path / "empty.jsonl", []), tmp_path / "r.html")


def test_only_its_owner_may_read_it(tmp_path):
    write_report(write(tmp_path / "s.jsonl", [card()]), tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_mode & 0o077 == 0
    assert TEXT not in (tmp_path / "r.html").read_text("utf-8")  # compressed


def test_rows_with_criteria_of_their_own(tmp_path):
    rows = mixed(3)
    for at in range(150):
        made = card(f"own-{at}")
        made["criteria"] = {**made["criteria"], f"own.{at}": judgment("yes", 1.0)}
        rows.append(made)
    made = write_report(write(tmp_path / "s.jsonl", rows), tmp_path / "r.html")
    assert "150 criteria are of single rows" in made.notes[0]
    html = (tmp_path / "r.html").read_text("utf-8")
    assert '"id":"own.0"' in html
    assert '"id":"own.149"' not in html
