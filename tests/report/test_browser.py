"""The report as people use it: in Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from kardia.report.report import write_report
from kardia.report.sections.blocks import interval_row, intervals, lines, sides

from .cardfile import RUBRIC, TEXT, card, judgment, mixed, row, write

Keys = pytest.importorskip("selenium.webdriver.common.keys", reason="the report is opened by selenium").Keys
FIRST, LAST = RUBRIC.criteria[0], RUBRIC.criteria[-1]
N = 400


@pytest.fixture(scope="session")
def report(place: Path) -> Path:
    """Of many cards with their conversations."""
    rows = mixed(N)
    rows[7]["criteria"][FIRST.id]["evidence"] = ["A morning like\nthat", "nobody said this"]
    rows[7]["criteria"][LAST.id]["evidence"] = ["that empties"]
    data = [row(one["id"], said=f"My dog died this morning, number {at}. É triste.") for at, one in enumerate(rows)]
    target = place / "many.html"
    write_report(write(place / "s.jsonl", rows), target, data=write(place / "d.jsonl", data), title="Many")
    return target


def test_it_opens(page, report):
    page.open(report)
    assert page.count == f"{N} scorecards"
    assert page.text("h1") == "Many"
    assert [link.text for link in page.all("#nav a")] == ["Overview", "Criteria", "Scorecards"]
    assert page.text("#overview .tile dd").startswith("0.4")
    assert len(page.all("#criteria figure")) == len(RUBRIC.criteria)
    assert FIRST.question.strip() in page.text("#criteria figure .question")
    assert page.ids()[:3] == ["talk-00000", "talk-00001", "talk-00002"]


def test_filters(page, report):
    page.open(report)
    page.choose("status", "2")
    assert page.count == "40 of 400 scorecards"
    assert page.ids()[0] == "talk-00003"
    page.find("#clear").click()
    page.choose("veto", "yes")
    assert page.count == "40 of 400 scorecards"
    page.choose("veto", str(len(RUBRIC.criteria) - 1))
    assert page.count == "40 of 400 scorecards"
    page.choose("veto", "no")
    assert page.count == "360 of 400 scorecards"
    page.find("#clear").click()
    page.choose("criterion", "0")
    page.choose("level", "!unscored")
    assert page.count == "40 of 400 scorecards"
    page.choose("level", f"={FIRST.levels[0]}")
    expected = sum(one["criteria"][FIRST.id]["level"] == FIRST.levels[0] for one in mixed(N))
    assert page.count == f"{expected} of 400 scorecards"
    page.find("#clear").click()
    page.choose("from", "0.5")
    page.choose("to", "0.6")
    expected = sum(one["score"] is not None and 0.5 <= one["score"] <= 0.6 for one in mixed(N))
    assert page.count == f"{expected} of 400 scorecards"
    page.find("#clear").click()
    assert page.count == "400 scorecards"


def test_nothing_found_is_said_and_opens_nothing(page, report):
    page.open(report)
    page.search("zebra", "0 of 400 scorecards")
    assert page.all(".row") == []
    page.find("#list").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert not page.find("#card").is_displayed()


def test_a_level_of_the_overview_leads_to_its_cards(page, report):
    page.open(report)
    page.js("document.querySelector('#criteria figure details').open = true")
    link = page.find("#criteria figure button.link")
    wanted = link.text
    page.js("arguments[0].click()", link)
    page.until(lambda: page.count == f"{wanted} of 400 scorecards")
    assert page.focused() == "list"


def test_order(page, report):
    page.open(report)
    page.choose("sort", "high")
    scores = [one.text for one in page.all(".row .score")]
    assert scores[0] == "1.00"
    page.choose("sort", "low")
    assert page.js("return document.querySelector('#row-0 .score').textContent") == "0.00"
    page.find("#list").send_keys(Keys.END)
    page.until(lambda: page.all("#row-399"))
    assert page.js("return document.querySelector('#row-399 .score').textContent") == "–"  # without a score: last


def test_search(page, report):
    page.open(report)
    page.search("number 123", "1 of 400 scorecards")
    assert page.ids() == ["talk-00123"]
    page.search('"number 12."', "1 of 400 scorecards")
    page.search("É TRISTE", "400 scorecards")
    page.search("e\u0301 triste", "400 scorecards")  # the same letter, written as two
    page.search("talk-00399", "1 of 400 scorecards")
    page.search('"reason 6."', f"{sum(at % 7 == 6 for at in range(N))} of 400 scorecards")
    page.search('"', "400 scorecards")
    page.search("sha256", "0 of 400 scorecards")  # where it comes from is not what it says


def test_a_card(page, report):
    page.open(report)
    page.show(7)
    shown = page.text("#card")
    assert "My dog died this morning, number 7." in shown
    assert "Reason 0." in shown
    assert [one.text for one in page.all(".message .role")] == ["user", "assistant · judged"]
    assert page.text(".message.judged p") == TEXT
    assert page.all(".judgment .level")[0].text.startswith("level ")
    assert len(page.all(".judgment")) == len(RUBRIC.criteria)
    # evidence of two criteria overlaps: three parts, the middle one of both
    marks = page.js("return [...document.querySelectorAll('mark')].map((one) => [one.textContent, one.dataset.keys])")
    first, last = f"{FIRST.id}:0", f"{LAST.id}:0"
    assert marks == [["A morning like ", first], ["that", f"{first} {last}"], [" empties", last]]
    page.js("arguments[0].click()", page.all(".evidence button")[0])
    assert page.js("return document.activeElement.textContent") == "A morning like "


def test_keyboard(page, report):
    page.open(report)
    body = page.find("body")
    body.send_keys("/")
    assert page.focused() == "words"
    page.find("#words").send_keys("/", Keys.BACKSPACE, Keys.ENTER)
    page.until(lambda: page.focused() == "list")
    page.until(lambda: page.count == "400 scorecards")
    page.find("#list").send_keys(Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.js("return document.getElementById('list').getAttribute('aria-activedescendant')") == "row-2"
    page.find("#list").send_keys(Keys.ENTER)
    page.until(lambda: page.focused() == "card")
    assert page.text("#card-h") == "talk-00002"
    page.find("#card").send_keys("j")
    page.until(lambda: page.text("#card-h") == "talk-00003")
    page.find("#card").send_keys(Keys.ESCAPE)
    page.until(lambda: page.focused() == "list")
    assert not page.find("#card").is_displayed()
    page.find("#list").send_keys(Keys.END)
    page.until(lambda: page.all("#row-399"))
    assert page.js("return document.getElementById('list').getAttribute('aria-activedescendant')") == "row-399"
    outline = page.js("return getComputedStyle(document.getElementById('list')).outlineStyle")
    assert outline == "solid"  # one sees where one is


def colours(page):
    return page.js(
        "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color].join(' ')"
    )


def test_dark_mode(page, report):
    light = colours(page.open(report))
    dark = colours(page.open(report, dark=True))
    assert light != dark
    assert page.find("#theme").get_attribute("aria-pressed") == "true"
    page.find("#theme").click()
    assert colours(page) == light
    page.driver.refresh()
    page.until(lambda: page.js("return document.documentElement.dataset.ready === 'true'"))
    assert colours(page) == light  # remembered
    page.find("#theme").click()
    assert colours(page) == dark


def test_nothing_in_a_conversation_runs(page, place):
    hostile = (
        "</script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
        "<svg onload=\"document.title='ran'\"><a href=\"javascript:document.title='ran'\">x</a>{{7*7}}${7*7}"
    )
    key = RUBRIC.criteria[0].id
    made = card(
        hostile,
        group=hostile,
        metadata={hostile: [hostile, {"deep": hostile}]},
        target={"kind": "reply", "message": 1, "text": hostile},
        guard={"mode": "flag", "findings": [{"what": hostile}]},
    )
    made["criteria"] = {
        key: judgment(4, 0.75, reason=hostile, evidence=[hostile], samples=[hostile], probabilities={hostile: 1.0}),
        hostile: judgment(error=hostile),
        "odd": judgment(hostile, 0.5),
    }
    made["judge"] = hostile
    made["vetoed_by"] = [hostile]
    made["provenance"] = {**made["provenance"], "judge": {"name": hostile, "hash": hostile}}
    data = [
        {"id": hostile, "messages": [{"role": "user", "content": hostile}, {"role": "assistant", "content": hostile}]}
    ]
    table = {"type": "table", "caption": hostile, "columns": [hostile], "rows": [[hostile]], "closed": False}
    row_ = {"criterion": hostile, "sides": [{"level": hostile, "words": hostile}, None]}
    section = {
        "id": "agreement",
        "nav": hostile,
        "title": hostile,
        "blocks": [
            {"type": "text", "text": hostile},
            {"type": "heading", "text": hostile},
            {"type": "finding", "items": [hostile] * 9, "todo": hostile, "severity": hostile, "title": hostile},
            {"type": "facts", "label": hostile, "facts": {hostile: hostile}},
            {"type": "fold", "label": hostile, "blocks": [{"type": "grid", "blocks": [table]}]},
            lines(hostile, {hostile: [[0, 1], [1, 1]]}, beside=table),
            intervals(hostile, [interval_row(hostile, {"value": 0, "low": 0, "high": 1}, warn=True)], marked=hostile),
            {**table, "shaded": True},
            sides(hostile, [hostile, hostile], [{"id": hostile, "title": hostile, "notes": [hostile], "rows": [row_]}]),
        ],
        "gist": hostile,
    }
    target = place / "hostile.html"
    scores = write(place / "hostile.jsonl", [made])
    write_report(scores, target, data=write(place / "hd.jsonl", data), title=hostile, sections=[section])
    page.open(target)
    assert page.text(".gists dd") == page.text(".side .words") == page.text("#agreement .todo") == hostile
    page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.show(0)
    page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.text("#card-h") == hostile
    assert page.text(".message.judged p") == hostile
    assert page.text("#card .reason") == hostile
    assert page.js("return document.querySelector('mark').textContent") == hostile
    assert page.driver.title == hostile
    assert page.js("return document.querySelectorAll('img, svg, iframe, main script').length") == 0
    assert (
        page.js(
            "return [...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
            ".filter((name) => name.startsWith('on')).length"
        )
        == 0
    )
    page.search("onload", "1 scorecard")
    # the policy refuses what is put there by force, too: and that the console says
    page.js(
        "document.body.append(document.createRange().createContextualFragment('<script>document.title=1</script>'))"
    )
    page.js("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
    assert page.until(lambda: [one for one in page.errors() if "Content Security Policy" in one])
    page.errors()
    assert page.driver.title == hostile


def test_on_a_phone(page, report):
    page.open(report, phone=True)
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert page.js("return document.getElementById('filters').open") is False
    page.js("document.getElementById('cards').scrollIntoView()")
    page.show(7)
    box = page.js(
        "const box = document.getElementById('card').getBoundingClientRect(); return [box.left, box.top, box.width]"
    )
    assert box == [0, 0, 390]
    assert page.js("const card = document.getElementById('card'); return card.scrollWidth <= card.clientWidth")
    assert page.js("return document.getElementById('query').inert") is True
    page.find("#back").click()
    page.until(lambda: not page.find("#card").is_displayed())
    assert page.js("return document.getElementById('query').inert") is False
    sizes = page.js(
        "return [...document.querySelectorAll('button:not(.link), select, input')]"
        ".filter((one) => one.offsetHeight).map((one) => one.offsetHeight)"
    )
    assert min(sizes) >= 38  # for a thumb


def test_a_screen_reader_finds_its_way(page, report):
    page.open(report)
    page.show(7)
    unnamed = page.js(
        "return [...document.querySelectorAll('button, input, select, canvas, nav, section, [role]')]"
        ".filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length"
        " || one.getAttribute('aria-labelledby') || one.role === 'presentation' || ['trouble'].includes(one.id)))"
        ".map((one) => one.outerHTML.slice(0, 90))"
    )
    assert unnamed == []
    broken = page.js(
        "return [...document.querySelectorAll('[aria-labelledby], label[for]')]"
        ".map((one) => one.getAttribute('aria-labelledby') || one.htmlFor).filter((id) => !document.getElementById(id))"
    )
    assert broken == []
    assert page.js("return document.querySelectorAll('h1').length") == 1
    assert page.find("#count").get_attribute("aria-live") == "polite"
    assert page.js("return document.querySelector('.row').ariaSetSize") == str(N)
    # every picture has its figures beside it
    assert page.js(
        "return [...document.querySelectorAll('.criterion canvas, .series canvas')]"
        ".every((one) => one.closest('figure').querySelector('table'))"
    )
    ids = page.js("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_on_paper(page, report):
    page.open(report, dark=True)
    page.show(7)
    page.js("window.dispatchEvent(new Event('beforeprint'))")
    assert len(page.all("#printed tbody tr")) == 200
    assert "The first 200 of 400" in page.text("#printed caption")
    assert page.js("return getComputedStyle(document.documentElement).getPropertyValue('--page')").strip() == "#faf9f6"
    page.js("window.dispatchEvent(new Event('afterprint'))")
    assert page.all("#printed") == []
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 20_000
    assert page.all("#printed") == []


def test_two_rubrics_are_told_apart(page, place):
    rows = mixed(20)
    other = [
        {**one, "rubric": "other@1.0.0", "criteria": {"kind": judgment("yes" if at % 2 else "no", at % 2)}}
        for at, one in enumerate(mixed(10))
    ]
    for one in other:
        one["provenance"] = {**one["provenance"], "rubric": {"hash": "sha256:0"}}
    target = place / "two.html"
    write_report(write(place / "two.jsonl", [*rows, *other]), target)
    page.open(target)
    assert page.count == "30 scorecards"
    page.choose("series", "1")
    assert page.count == "10 of 30 scorecards"
    page.choose("criterion", "0")
    page.choose("level", "=yes")
    assert page.count == "5 of 30 scorecards"
    page.show(0)
    assert page.text(".judgment h5") == "kind"


def test_without_texts(page, place):
    bare = card(target={"kind": "reply", "message": 1, "text": None}, metadata=None)
    target = place / "bare.html"
    write_report(write(place / "bare.jsonl", [bare]), target)
    page.open(target)
    page.show(0)
    assert "without texts" in page.text("#card")


def test_fifty_thousand(page, place):
    """Few elements however many cards; and open not much later than a page that only holds the same bytes."""
    n = 50_000
    one = card()
    rows = [
        {
            **one,
            "id": f"talk-{at:05d}",
            "score": round(at % 101 / 100, 2),
            "criteria": {"a": judgment(1 + at % 5, at % 5 / 4, reason=f"Because {at}.")},
        }
        for at in range(n)
    ]
    target, plain = place / "large.html", place / "plain.html"
    write_report(write(place / "large.jsonl", rows), target)
    size = target.stat().st_size
    plain.write_text(f"<!doctype html><title>plain</title><script type='text/plain'>{'A' * size}</script>", "utf-8")

    def seconds(path, mark):
        page.driver.get(path.as_uri())
        return page.until(lambda: page.js(mark))

    ready = "return performance.getEntriesByName('kardia-ready')[0]?.startTime"
    loaded = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    pairs = [(seconds(target, ready), seconds(plain, loaded)) for _ in range(3)]
    assert min(ours for ours, _ in pairs) <= 25 * max(1, max(theirs for _, theirs in pairs)), pairs

    page.open(target)
    assert page.count == "50,000 scorecards"
    elements = page.js("return document.querySelectorAll('*').length")
    assert elements < 1000
    most = 0
    for share in (0.1, 0.5, 0.9, 1):
        page.js("const l = document.getElementById('list'); l.scrollTop = arguments[0] * l.scrollHeight", share)
        page.until(
            lambda share=share: page.js("return Number(document.querySelector('.row')?.ariaPosInSet)") > share * n - 100
        )
        most = max(most, len(page.all(".row")))
    assert most < 60
    assert page.ids()[-1] == "talk-49999"
    page.show(n - 1)
    assert "Because 49999." in page.text("#card")
    page.search("because 43210.", "1 of 50,000 scorecards")
    assert page.js("return document.querySelectorAll('*').length") < 1000
