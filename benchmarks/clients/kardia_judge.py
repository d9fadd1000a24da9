"""kardia, end to end: conversations and a rubric in, scorecards out.

`--extra backend=http|openai` and `--extra ledger=off|PATH`. Prompts are rendered, answers checked, scorecards made and
aggregated, all within what is measured.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from measured import Measured

import kardia


def main(measured: Measured) -> None:
    rubric = kardia.load_rubric(measured.extra["rubric"])
    profile = kardia.JudgeProfile.model_validate(
        {
            "name": "bench",
            "backend": measured.extra["backend"],
            "model": measured.work.body["model"],
            "base_url": measured.url,
            "limits": {"concurrency": measured.concurrency},
        }
    )
    judge = kardia.load_judge(profile)
    rows = [
        {"id": conversation["id"], "messages": conversation["messages"]} for conversation in measured.work.conversations
    ]
    warm = measured.warm_conversations
    wanted = -(-measured.judgments // len(rubric.criteria))

    def score(conversations: Iterator[dict[str, Any]]) -> None:
        for card in kardia.score_many(conversations, rubric, judge, ledger=measured.extra["ledger"]):
            measured.add(judgment.level for judgment in card.criteria.values())

    score(iter(rows[:warm]))
    measured.start()
    score(measured.in_time(rows[warm : warm + wanted]))
    measured.report("kardia", "aiohttp", "openai")
    check_ledger(measured)


def check_ledger(measured: Measured) -> None:
    """Every judgment stands in the ledger, where there is one: otherwise something else was measured."""
    where = measured.extra["ledger"]
    if where == "off":
        return
    with closing(sqlite3.connect(where)) as database:
        held = database.execute("SELECT count(*) FROM judgments").fetchone()[0]
    made = measured.warmed + len(measured.levels)
    if held != made:
        raise SystemExit(f"{made:,} judgments were made, and the ledger holds {held:,}")


if __name__ == "__main__":
    main(Measured.from_command_line())
