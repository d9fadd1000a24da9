"""A report with everything that the other commands found, in Chromium: seen, printed, read aloud, and by keyboard."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from kardia.report.report import survey, write_report
from kardia.report.sections import read_sections
from kardia.report.sections.bound import Bound

from .cardfile import RUBRIC

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="the report is opened by selenium").Keys

CONTRAST = """
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = parts(colour).slice(0, 3).map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = getComputedStyle(one).backgroundColor;
    if (parts(colour)[3] !== 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const low = [];
let seen = 0;
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  if (!text || element.closest("script, style, .unseen, option, :disabled") || !element.checkVisibility()) continue;
  const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
  seen += 1;
  if ((Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5) low.push(text.slice(0, 60));
}
return [seen, low];
"""


@pytest.fixture(scope="session")
def report(place: Path, files: dict[str, Path]) -> Path:
    given = {kind: path for kind, path in files.items() if kind != "scores"}
    bound = Bound.of(survey(files["scores"]).tally)
    target = place / "evidence.html"
    write_report(files["scores"], target, sections=read_sections(**given, bound=bound), title="All of it")
    return target


def unfolded(page):
    page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def test_all_of_it_opens(page, report):
    page.open(report)
    sections = ["Agreement", "Calibration", "Probes", "Diagnostics", "Comparison"]
    assert [link.text for link in page.all("#nav a")][2:-1] == sections
    assert [link.text for link in page.all(".gists a")] == sections
    assert len(page.all("#sections > section")) == 5
    unfolded(page)
    canvases = page.all("#sections canvas")
    assert len(canvases) == 5  # κ, two reliabilities, shifts, changes
    for canvas in canvases:
        page.js("arguments[0].scrollIntoView()", canvas)
        page.until(lambda canvas=canvas: page.js("return Boolean(Chart.getChart(arguments[0]))", canvas))
    page.js("document.getElementById('probes').scrollIntoView()")
    current = "return document.querySelector('#nav a[aria-current]')?.textContent"
    page.until(lambda: page.js(current) == "Probes")


def test_what_moved_is_read_side_by_side(page, report, files):
    page.open(report)
    (compared,) = json.loads(files["compare"].read_text("utf-8"))["comparisons"]
    moved = compared["moved"][1]
    unfolded(page)
    shown = page.all(".moved")[1]
    assert moved["id"] in shown.text
    side = moved["criteria"][0]
    assert side["criterion"] in shown.text.replace("\n", "")
    for one in (side["first"], side["second"]):
        assert one["reason"] in shown.text
    page.choose("status", "2")
    page.js("arguments[0].click()", shown.find_element("css selector", "button.link"))
    page.until(lambda: page.js("return document.querySelector('#card-h')?.textContent") == moved["id"])
    assert page.count == "40 scorecards"  # what was filtered away would not be found
    assert page.focused() == "card"


def test_a_level_that_is_the_same_is_folded(page, report):
    page.open(report)
    page.js("document.querySelectorAll('.moved').forEach((one) => { one.open = true; })")
    rows = page.js(
        "return [...document.querySelectorAll('.moved > .sides > li')]"
        ".map((row) => [...row.querySelectorAll('.whose strong')].map((one) => one.textContent))"
    )
    assert rows
    assert all(one != two for one, two in rows)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_its_contrast(page, report, dark):
    """WCAG 2.2 AA, computed of what the browser shows."""
    page.open(report, dark=dark)
    page.show(5)
    unfolded(page)
    seen, low = page.js(CONTRAST)
    assert seen > 500
    assert low == []


def test_headings_leave_no_step_out(page, report):
    page.open(report)
    page.show(7)
    ranks = page.js(
        "return [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].filter((one) => one.checkVisibility())"
        ".map((one) => Number(one.tagName[1]))"
    )
    assert ranks[0] == 1
    assert ranks.count(5) == len(RUBRIC.criteria)
    assert all(after <= before + 1 for before, after in pairwise(ranks))


def test_charts_have_their_figures_in_tables(page, report):
    page.open(report)
    alone = page.js(
        "return [...document.querySelectorAll('canvas')].filter((one) => !one.closest('figure').querySelector('table')"
        " && !one.closest('section').querySelector('.sheet table')).length"
    )
    assert alone == 0
    names = page.js("return [...document.querySelectorAll('summary')].map((one) => one.textContent)")
    assert len(names) == len(set(names))  # each is told from the others, read aloud by itself


def test_the_tab_key_reaches_everything_and_leaves_again(page, report):
    from selenium.webdriver import ActionChains

    page.open(report)
    stops = []
    for _ in range(100):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        stop = page.js(
            "const one = document.activeElement; return one === document.body ? null : "
            "[one.tagName, one.id || one.textContent.slice(0, 30), getComputedStyle(one).outlineStyle]"
        )
        if stop is None:
            break
        stops.append(stop)
    assert stop is None
    assert all(outline == "solid" for _, _, outline in stops), stops
    reached = [name for _, name, _ in stops]
    assert reached[0] == "Skip to the scorecards"
    for wanted in ("theme", "words", "sort", "clear", "list"):
        assert wanted in reached
    folded = page.js("return [...document.querySelectorAll('summary')].filter((one) => one.checkVisibility()).length")
    assert sum(tag == "SUMMARY" for tag, _, _ in stops) == folded


def test_only_a_wide_table_is_a_stop(page, report):
    page.open(report)
    assert page.all(".scroll[tabindex]") == []
    page.open(report, phone=True)
    stops = page.until(lambda: page.all(".scroll[tabindex]"))
    assert all(one.get_attribute("aria-label") and one.get_attribute("role") == "region" for one in stops)


def test_on_a_phone(page, report):
    page.open(report, phone=True)
    unfolded(page)
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    canvas = page.find("#comparison .intervals canvas")
    page.js("arguments[0].scrollIntoView()", canvas)
    page.until(lambda: page.js("return Boolean(Chart.getChart(arguments[0]))", canvas))
    left, width, box = page.js(
        "const chart = Chart.getChart(arguments[0]); const { ctx } = chart;"
        "const names = chart.data.labels.map((name) => ctx.measureText(name).width);"
        "return [chart.chartArea.left, Math.max(...names), chart.width]",
        canvas,
    )
    assert left < 30  # a name stands above its line, and leaves it the whole width
    assert width < box - left


def test_on_paper(page, report):
    page.open(report, dark=True)
    page.js("window.dispatchEvent(new Event('beforeprint'))")
    assert page.js("return document.querySelector('details.origin').open") is True
    page.js("window.dispatchEvent(new Event('afterprint'))")
    assert page.js("return document.querySelector('details.origin').open") is False
    assert len(page.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]) > 20_000
