"""What the recipe `smoke` learns from, and that a step of it runs."""

from __future__ import annotations

import gzip
import json
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
ANYBODY = json.loads((DATA / "plain.json").read_text("utf-8"))
TOPICS = [json.loads(line) for line in (DATA / "topics.jsonl").read_text("utf-8").splitlines()]


def rows(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.decode().splitlines()]


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    found: dict[str, bytes] = SMOKE.files(DATA)
    return found


def test_the_files_are_what_the_script_writes(made):
    assert set(made) == {"prompts.jsonl", "held_out.jsonl", "demonstrations.jsonl.gz"}
    for name, content in made.items():
        there = (DATA / name).read_bytes()
        # how tightly is packed differs among versions of zlib; what was packed does not
        assert (gzip.decompress(there) == gzip.decompress(content)) if name.endswith(".gz") else there == content


def test_every_situation_is_told_once_and_every_topic_has_its_texts():
    told = [each["c"] for topic in TOPICS for each in topic["situations"]]
    assert len(told) == len(set(told)) == 10 * 36
    for topic in TOPICS:
        assert topic["felt"] in ANYBODY
        assert {each["e"] for each in topic["situations"]} <= set(EMOTIONS)
        assert min(len(topic["openings"]), len(topic["questions"])) >= SMOKE.GOOD
        assert len(topic["understanding"]) == len(topic["reasoning"]) == 4
    replies = [text for topic in TOPICS for key in ("openings", "questions") for text in topic[key]]
    assert len(replies) == len(set(replies))


def test_nothing_that_is_held_out_is_learnt_from(made):
    held = {row["messages"][0]["content"] for row in rows(made["held_out.jsonl"])}
    trained = {row["messages"][0]["content"] for row in rows(made["prompts.jsonl"])}
    shown = {row["messages"][0]["content"] for row in rows(gzip.decompress(made["demonstrations.jsonl.gz"]))}
    assert len(held) == 90
    assert len(trained) == 270
    assert not held & trained
    assert shown == trained


def test_good_replies_are_of_the_topic_and_plain_ones_of_none(made):
    shown = rows(gzip.decompress(made["demonstrations.jsonl.gz"]))
    assert len(shown) == 270 * (SMOKE.GOOD + SMOKE.PLAIN)
    topics = {topic["topic"]: topic for topic in TOPICS}
    for row in shown:
        name, _, number = row["id"].rsplit("-", 2)
        topic, reply = topics[name], row["messages"][1]["content"]
        if int(number) < SMOKE.GOOD:
            assert reply in {f"{one} {other}" for one in topic["openings"] for other in topic["questions"]}
        else:
            assert reply in ANYBODY[topic["felt"]]
        assert row["understanding"] in topic["understanding"]
        assert row["reasoning"] in topic["reasoning"]


def test_the_recipe_is_sound():
    recipe = load_recipe(str(ROOT / "training" / "smoke.yaml"), [])
    found = prepare(recipe, dry=True)
    assert len(found.train) == 270
    assert len(found.held_out) == 90
    assert found.rubric is not None
    assert {found.judges.reward, found.judges.second} == {"embedded", "words"}
    assert recipe.model.config is not None  # built here: nothing is fetched
