"""Two scored files, paired: what is measured is what was planted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from diagnose.planted import ORDINALS, RUBRIC, Reply, World, cards, write
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.agreement.bootstrap import Bootstrap
from kardia.compare.change import change_of
from kardia.compare.comparison import compare, paired
from kardia.diagnose.cards import Scored, read_file, read_scored
from kardia.errors import InputError
from kardia.judgment import Judgment

pytest.importorskip("scipy", reason="comparing needs kardia[agree]")

MAYBE = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


def both(place: Path, first: list[dict[str, Any]], second: list[dict[str, Any]]) -> tuple[Scored, Scored]:
    return read_scored(write(place / "a.jsonl", first)), read_scored(write(place / "b.jsonl", second))


@given(st.lists(st.tuples(MAYBE, MAYBE), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_every_conversation_is_counted_once(rows: list[tuple[float | None, float | None]]) -> None:
    first, second = [a for a, _ in rows], [b for _, b in rows]
    bootstrap = Bootstrap([str(place) for place in range(len(rows))], resamples=50)
    change = change_of(first, second, [True] * len(rows), bootstrap)
    assert change.wins + change.losses + change.ties == change.n
    assert change.n + change.only_first + change.only_second + change.neither == len(rows)
    back = change_of(second, first, [True] * len(rows), bootstrap)
    assert (back.wins, back.losses, back.only_first) == (change.losses, change.wins, change.only_second)
    if change.difference.value is None:
        assert change.difference.why
        assert change.first is None
    else:
        assert change.first is not None
        assert change.second is not None
        assert change.difference.value == pytest.approx(change.second - change.first)
        assert back.difference.value == pytest.approx(-change.difference.value)


def test_intervals_are_of_groups(tmp_path: Path) -> None:
    """Replies of a group that move alike say no more than one of them does."""
    world = World(5, 30, 4)

    def by_group(reply: Reply, judgments: dict[str, Judgment]) -> None:
        judgments["demeans"] = Judgment("demeans", "scored", "no", 1.0)
        rise = random.Random(reply.group).random() < 0.5
        for name in ORDINALS:
            judgments[name] = Judgment(name, "scored", 4 if rise else 3, 0.75 if rise else 0.5)

    def level(_: Reply, judgments: dict[str, Judgment]) -> None:
        judgments["demeans"] = Judgment("demeans", "scored", "no", 1.0)
        for name in ORDINALS:
            judgments[name] = Judgment(name, "scored", 3, 0.5)

    first, second = both(tmp_path, cards(world, change=level), cards(world, change=by_group))
    grouped = compare(first, second).score.difference
    for reply in world.replies:
        reply.group = f"own {reply.id}"
    ids = {reply.id: reply.group for reply in world.replies}
    rows = [[{**row, "group": ids[row["id"]]} for row in cards(World(5, 30, 4), change=by)] for by in (level, by_group)]
    alone = compare(*both(tmp_path, *rows)).score.difference
    assert grouped.value == alone.value
    widths = [each.high - each.low for each in (grouped, alone) if each.high is not None and each.low is not None]
    assert widths[0] / widths[1] == pytest.approx(2.0, abs=0.4)  # √4


def test_what_rose_and_what_fell(tmp_path: Path) -> None:
    world = World(1)
    first, second = both(
        tmp_path,
        cards(world),
        cards(world, lambda _, name: 0.8 if name == "warm" else -0.8 if name == "clear" else 0.0),
    )
    found = compare(first, second)
    low = {name: change.difference.low for name, change in found.criteria.items()}
    high = {name: change.difference.high for name, change in found.criteria.items()}
    assert low["warm"] is not None
    assert high["clear"] is not None
    assert low["warm"] > 0 > high["clear"]
    # the same noise on both sides: the others did not move at all
    assert (found.criteria["apt"].wins, found.criteria["apt"].losses) == (0, 0)
    assert found.same_text == found.both == 200
    assert found.groups == 50


def test_those_that_moved_most_say_why(tmp_path: Path) -> None:
    world = World(1, 20)

    def one_fell(reply: Reply, judgments: dict[str, Judgment]) -> None:
        if reply.id == "3-2":
            for name in ("warm", "clear"):
                judgments[name] = Judgment(name, "scored", 1, 0.0, f"Not {name} at all.")

    quiet = dict.fromkeys(("3-2",), True)
    for reply in world.replies:
        reply.demeans = False
        if reply.id in quiet:
            reply.quality = dict.fromkeys(ORDINALS, 5.0)
    found = compare(*both(tmp_path, cards(world), cards(world, change=one_fell)), top=3)
    (moved,) = found.moved
    assert moved.id == "3-2"
    assert moved.difference == pytest.approx(found.score.difference.value * 80)
    assert {side.criterion for side in moved.sides} == {"warm", "clear"}
    side = moved.to_json()["criteria"][0]
    assert side["second"]["reason"].startswith("Not ")
    assert side["first"]["level"] in {"4", "5"}
    assert abs(moved.sides[0].difference or 0) >= abs(moved.sides[1].difference or 0)


def test_gaps_vetoes_and_strangers(tmp_path: Path) -> None:
    world = World(1, 10)
    for reply in world.replies:
        reply.demeans = False

    def change(reply: Reply, judgments: dict[str, Judgment]) -> None:
        if reply.id == "0-0":
            judgments["warm"] = Judgment("warm", "unscored", error="no answer")
        if reply.id in ("1-0", "1-1"):
            judgments["demeans"] = Judgment("demeans", "scored", "yes", 0.0)

    first, second = cards(world), cards(world, change=change)
    found = compare(*both(tmp_path, first[:-1], second[1:] + second[:1]))
    assert found.only_first == ()
    assert found.only_second == ("9-3",)
    assert [each.id for each in found.gaps] == ["0-0"]
    assert (found.score.only_first, found.criteria["warm"].only_first) == (1, 1)
    assert found.vetoes == {"demeans": (2, 0)}
    assert found.moved[0].vetoed_second == ("demeans",)


def test_versions_of_a_rubric_are_joined_by_criterion(tmp_path: Path) -> None:
    rows = cards(World(1, 5))
    newer = [
        {**row, "rubric": "made@2.0.0", "criteria": {**{k: v for k, v in row["criteria"].items() if k != "apt"}}}
        for row in rows
    ]
    for row in newer:
        row["criteria"]["gentle"] = row["criteria"]["warm"]
    files = [read_file(write(tmp_path / name, each)) for name, each in (("a.jsonl", rows), ("b.jsonl", newer))]
    (pair,) = paired(*files)
    found = compare(*pair)
    assert (found.criteria_first, found.criteria_second) == (("apt",), ("gentle",))
    assert "warm" in found.criteria
    assert found.score.ties == found.both


def test_files_of_several_rubrics(tmp_path: Path) -> None:
    rows = cards(World(1, 3))

    def named(*names: str) -> dict[str, Scored]:
        path = tmp_path / "rows.jsonl"
        return read_file(write(path, [{**row, "rubric": name} for name in names for row in rows]))

    first, second = named("a@1.0.0", "b@1.0.0"), named("b@1.0.0", "a@1.1.0", "c@1.0.0")
    assert [(one.rubric, two.rubric) for one, two in paired(first, second)] == [
        ("a@1.0.0", "a@1.1.0"),
        ("b@1.0.0", "b@1.0.0"),
    ]
    # one rubric each: two that are not called alike can still be compared
    assert len(list(paired(named("a@1.0.0"), named("c@1.0.0")))) == 1
    with pytest.raises(InputError, match="nothing to compare"):
        list(paired(first, named("c@1.0.0")))


def test_nothing_in_common(tmp_path: Path) -> None:
    rows = cards(World(1, 2))
    first, second = both(tmp_path, rows, [{**row, "id": f"x{row['id']}"} for row in rows])
    with pytest.raises(InputError, match="no conversation in common"):
        compare(first, second)


def test_one_group_has_no_interval(tmp_path: Path) -> None:
    rows = cards(World(1, 1))
    found = compare(*both(tmp_path, rows, rows))
    assert found.score.difference.low is None
    assert found.score.difference.why is not None
    assert RUBRIC.name == found.first["rubric"].partition("@")[0]
