"""What the recipe `smoke` learns from, and that a step of it runs."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kardia.policy.prepared import prepare
from kardia.policy.recipes import load_recipe
from kardia.reward.terms.emotions import EMOTIONS

from .launchers import launcher

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "training" / "smoke"


SMOKE = launcher("smoke")
SITUATIONS = [json.loads(line) for line in (DATA / "situations.jsonl").read_text("utf-8").splitlines()]


def rows(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.decode().splitlines()]


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    found: dict[str, bytes] = SMOKE.files(DATA / "situations.jsonl")
    return found


def test_the_files_are_what_the_script_writes(made):
    assert set(made) == {"prompts.jsonl", "held_out.jsonl", "demonstrations.jsonl.gz"}
    for name, content in made.items():
        there = (DATA / name).read_bytes()
        # how tightly is packed differs among versions of zlib; what was packed does not
        assert (gzip.decompress(there) == gzip.decompress(content)) if name.endswith(".gz") else there == content


def test_every_situation_is_whole_and_told_once():
    assert len(SITUATIONS) == 600
    assert len({each["c"] for each in SITUATIONS}) == 600
    for each in SITUATIONS:
        assert each["e"] in EMOTIONS
        assert len(each["good"]) == 2
        assert all(each[key].strip() for key in "cur")
        assert all(reply.strip() for reply in (*each["good"], *each["fair"], *each["poor"]))


def test_nothing_that_is_held_out_is_learnt_from(made):
    held = {row["messages"][0]["content"] for row in rows(made["held_out.jsonl"])}
    trained = {row["messages"][0]["content"] for row in rows(made["prompts.jsonl"])}
    shown = rows(gzip.decompress(made["demonstrations.jsonl.gz"]))
    assert len(held) == SMOKE.HELD_OUT
    assert len(trained) == 600 - SMOKE.HELD_OUT
    assert not held & trained
    assert not held & {row["messages"][0]["content"] for row in shown}
    replies = {reply for each in SITUATIONS if each["c"] in held for reply in each["good"]}
    assert not replies & {row["messages"][1]["content"] for row in shown}


def test_a_word_is_exchanged_wherever_it_is_said(made):
    """In the copies, no word of the person's that the reply took up is left behind in one of the two."""
    shown = rows(gzip.decompress(made["demonstrations.jsonl.gz"]))
    originals = {row["id"].rsplit("-", 1)[0]: row for row in shown if row["id"].endswith("-0")}
    changed = 0
    for row in shown:
        first = originals[row["id"].rsplit("-", 1)[0]]
        for role in (0, 1):
            old, new = (SMOKE.words_of(each["messages"][role]["content"]) for each in (first, row))
            assert len(old) == len(new)
        pairs = {
            (old, new)
            for role in (0, 1)
            for old, new in zip(
                SMOKE.words_of(first["messages"][role]["content"]),
                SMOKE.words_of(row["messages"][role]["content"]),
                strict=True,
            )
        }
        assert len({old for old, _ in pairs}) == len(pairs), row["id"]  # each word became one word
        changed += any(old != new for old, new in pairs)
    assert changed > len(shown) / 4


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("i was late and my boss told me off", "you were late and your boss told you off"),
        ("we sold our house", "you sold your house"),
        ("i'm the one who i am", "you're the one who you are"),
        ("the mine is his", "the yours is his"),
    ],
)
def test_said_back(said, back):
    assert SMOKE.said_back(said) == back


def test_one_reply_of_each_situation_says_back_what_was_said(made):
    for row in rows(gzip.decompress(made["demonstrations.jsonl.gz"])):
        if row["id"].endswith("-2-0"):
            said, reply = (each["content"] for each in row["messages"])
            assert reply.startswith(f"so {SMOKE.said_back(said).rstrip('.')}. ")
            assert not re.search(r"\b(my|me)\b", reply[: len(said)])


def test_the_recipe_is_sound():
    recipe = load_recipe(str(ROOT / "training" / "smoke.yaml"), [])
    found = prepare(recipe, dry=True)
    assert len(found.train) == 500
    assert len(found.held_out) == 100
    assert found.rubric is not None
    assert {found.judges.reward, found.judges.second} == {"embedded", "words"}
    assert recipe.model.config is not None  # built here: nothing is fetched
