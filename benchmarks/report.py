"""How quickly a large report is made, opened, scrolled and searched, in headless Chromium.

    python benchmarks/report.py --cards 50000 [--write]

The cards are made up from the example conversations: each with its conversation, levels on every criterion of
emotional-support, reasons of twenty phrases from a small vocabulary, and quotations. Beside the report a page is opened
that holds the same number of bytes and does nothing. Each page is opened five times, and the median is told.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tables import markdown_table, write_table

import kardia
from kardia.reading import read_conversations

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "report"))
from chromium import Page, start  # noqa: E402 - a module of the tests, which the line above finds

RUBRIC = "emotional-support@1"
WORDS = [
    *(
        "names",
        "the feeling",
        "stays with it",
        "does not say why",
        "gently",
        "advice",
        "early",
        "understands",
        "misses",
    ),
    *("the loss", "a summer of effort", "asks", "an open question", "turns away", "warm", "long", "quiet", "offers"),
    *("a plan", "before listening", "the person", "reply", "and", "but"),
]


def make_files(folder: Path, n: int) -> tuple[Path, Path]:
    """Scorecards and their conversations."""
    chance = random.Random(5)
    rubric = kardia.load_rubric(RUBRIC)
    conversations = list(read_conversations(ROOT / "examples" / "conversations.jsonl"))
    cards = [card.to_json() for card in kardia.score_many(conversations, rubric, "fake", ledger="off")]
    scores, data = folder / "scores.jsonl", folder / "conversations.jsonl"
    with scores.open("w", encoding="utf-8") as first, data.open("w", encoding="utf-8") as second:
        for at in range(n):
            place = at % len(cards)
            card, conversation = {**cards[place]}, conversations[place]
            sentences = card["target"]["text"].split(". ")
            card["id"] = f"talk-{at:06d}"
            card["criteria"] = {
                key: {
                    **said,
                    "reason": " ".join(chance.choices(WORDS, k=20)),
                    "evidence": [chance.choice(sentences)] if chance.random() < 0.5 else [],
                }
                for key, said in card["criteria"].items()
            }
            first.write(json.dumps(card, ensure_ascii=False) + "\n")
            messages = [message.to_json() for message in conversation.messages]
            row = {"id": card["id"], "messages": messages, "metadata": dict(conversation.metadata)}
            second.write(json.dumps(row, ensure_ascii=False) + "\n")
    return scores, data


def opened(page: Page, path: Path, mark: str) -> float:
    """Milliseconds from the start of the navigation to a mark."""
    page.driver.get(path.as_uri())
    return float(page.until(lambda: page.js(mark)))


SCROLL = """
const done = arguments[0], list = document.getElementById('list');
document.documentElement.style.scrollBehavior = 'auto';
document.getElementById('cards').scrollIntoView();
const times = []; let last = performance.now(), most = 0;
const step = () => {
  const now = performance.now(); times.push(now - last); last = now;
  most = Math.max(most, document.querySelectorAll('.row').length);
  list.scrollTop += 2000;
  if (times.length < 240) requestAnimationFrame(step);
  else done([times.sort((a, b) => a - b), most]);
};
setTimeout(() => requestAnimationFrame(step), 1000);
"""


def measured(folder: Path, n: int) -> list[tuple[str, str]]:
    scores, data = make_files(folder, n)
    report, plain = folder / "report.html", folder / "plain.html"
    began = time.perf_counter()
    command = [sys.executable, "-m", "kardia", "report", str(scores), "--data", str(data), "-o", str(report)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    took = time.perf_counter() - began
    size = report.stat().st_size
    plain.write_text(f"<!doctype html><title>plain</title><script type='text/plain'>{'A' * size}</script>", "utf-8")
    driver: Any = start(folder / "profile")
    try:
        page = Page(driver)
        ready = "return performance.getEntriesByName('kardia-ready')[0]?.startTime"
        loaded = "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        usable = statistics.median(opened(page, report, ready) for _ in range(5))
        whole = statistics.median(opened(page, report, loaded) for _ in range(5))
        same = statistics.median(opened(page, plain, loaded) for _ in range(5))
        page.open(report)
        elements = page.js("return document.querySelectorAll('*').length")
        driver.set_script_timeout(120)
        frames, rows = driver.execute_async_script(SCROLL)
        began = time.perf_counter()
        page.choose("sort", "low")
        sort = time.perf_counter() - began
        began = time.perf_counter()
        page.js("const w = document.getElementById('words'); w.value = arguments[0];", '"gently advice"')
        page.js("document.getElementById('words').dispatchEvent(new Event('input', { bubbles: true }))")
        page.until(lambda: " of " in page.count and "Searching" not in page.count)
        search = time.perf_counter() - began
    finally:
        driver.quit()
    return [
        ("scorecards", f"{n:,}"),
        ("scored file, MB", f"{scores.stat().st_size / 1e6:.0f}"),
        ("report, MB", f"{size / 1e6:.0f}"),
        ("making it, s", f"{took:.0f}"),
        ("opened: the list can be used, s", f"{usable / 1000:.2f}"),
        ("opened: read to the end, s", f"{whole / 1000:.2f}"),
        ("a page of the same bytes that does nothing, s", f"{same / 1000:.2f}"),
        ("elements on the page", f"{elements:,}"),
        ("most rows at once, scrolling", f"{rows}"),
        ("a frame while scrolling, median, ms", f"{frames[len(frames) // 2]:.0f}"),
        ("the 95th of 100 frames, ms", f"{frames[int(0.95 * len(frames))]:.0f}"),
        ("sorting, s", f"{sort:.2f}"),
        ("searching two words in all texts, s", f"{search:.1f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cards", type=int, default=50_000)
    parser.add_argument("--write", action="store_true", help="write the table into benchmarks/README.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), arguments.cards)
    table = markdown_table(("", "measured"), rows, right={1})
    print(table)
    if arguments.write:
        write_table(ROOT / "benchmarks" / "README.md", "report", table)


if __name__ == "__main__":
    main()
