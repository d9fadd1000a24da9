"""Every change of a reply: what it touches, what it leaves alone, and that it comes out the same each time."""

from __future__ import annotations

import json

import making
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.conversation import Conversation, Message
from kardia.errors import InputError
from kardia.fence import nonce
from kardia.probe import additions, replies, rewording
from kardia.probe.catalogue import GROUPS, PROBES, chosen, named
from kardia.probe.scene import Scene, rewritten, scene_of, sentences
from kardia.spans import target_of

RUBRIC = making.make(making.ordinal("warm"), making.binary("blames", good="no"), making.choice("tone"))
REPLY = "I'm so sorry, he was family. You don't have to be brave today. What was he like - old, or young?"
CHANGES = [probe for probe in PROBES if probe.change is not None]


def talk(reply: str = REPLY, **metadata: object) -> Conversation:
    messages = (
        Message("system", "You are a companion."),
        Message("user", "My dog died this morning."),
        Message("assistant", "Oh no."),
        Message("user", "He was fourteen."),
        Message("assistant", reply),
    )
    return Conversation("dog", messages, metadata)


STRANGER = Conversation(
    "exam", (Message("user", "I failed."), Message("assistant", "That hurts, after all that work."))
)


def scene(*conversations: Conversation, **keys: object) -> Scene:
    return scene_of([*(conversations or (talk(),)), STRANGER], RUBRIC, **keys)


def changed(change, conversation=None, where=None):
    """Variant name → the reply as the person reads it."""
    conversation = conversation or talk()
    variants = list(change(conversation, where or scene(conversation)))
    return {variant.name: target_of(variant.after, "reply").text for variant in variants}


REPLIES = st.text(
    st.sampled_from("abc dEF. ,!?'\"\n-*#<>|/🥀é’…你好 don't"), min_size=1, max_size=120
) | st.sampled_from([REPLY, "Oh.", "<think>He is sad.</think>I am here.", "<response>I am here.</response>", "…", " "])


@settings(max_examples=40, deadline=None)
@given(REPLIES)
def test_only_the_reply_changes_and_equal_seeds_change_it_alike(reply):
    conversation = talk(reply, emotion="sadness")
    for probe in CHANGES:
        assert probe.change is not None
        first = list(probe.change(conversation, scene(conversation)))
        assert first == list(probe.change(conversation, scene(conversation)))
        for variant in first:
            for one in (variant.after, variant.before or conversation):
                assert one.id == conversation.id
                assert one.metadata == conversation.metadata
                assert one.messages[:-1] == conversation.messages[:-1]
                assert one.messages[-1].role == "assistant"
            assert variant.after != (variant.before or conversation)
        names = [variant.name for variant in first]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("probe", CHANGES, ids=lambda probe: probe.name)
def test_every_probe_applies_somewhere(probe):
    conversation = talk(paraphrases="I am very sorry.", translations={"German": "Es tut mir sehr leid."})
    assert list(probe.change(conversation, scene(conversation)))


def test_a_seed_draws_otherwise():
    fillers = [changed(additions.padding, where=scene(seed=seed))["at its end"] for seed in range(3)]
    assert len(set(fillers)) == 3


# ---- where a reply stands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Oh.", "[Oh.]"),
        ("  Oh.\n", "  [Oh.]\n"),
        ("<think>Oh.</think>Oh.", "<think>Oh.</think>[Oh.]"),
        ("Oh.</think>\n\nI hear you.", "Oh.</think>\n\n[I hear you.]"),
        (
            "<emotion>sad</emotion><response>I hear you.</response>",
            "<emotion>sad</emotion><response>[I hear you.]</response>",
        ),
        (
            "<|emotion_begin|>sad<|emotion_end|><|response_begin|>sad<|response_end|>",
            "<|emotion_begin|>sad<|emotion_end|><|response_begin|>[sad]<|response_end|>",
        ),
    ],
)
def test_thinking_and_spans_stay(content, expected):
    found = rewritten(talk(content), lambda reply: f"[{reply}]")
    assert found is not None
    assert found.messages[-1].content == expected


@pytest.mark.parametrize("content", ["", "  ", "<think>only thoughts</think>", "I <think>hm</think> see."])
def test_what_has_no_plain_place_is_left_alone(content):
    assert rewritten(talk(content), lambda reply: "other") is None
    assert rewritten(talk("Oh."), lambda reply: None) is None
    assert rewritten(talk("Oh."), lambda reply: reply) is None


def test_a_turn_of_the_person_after_the_reply_stays():
    conversation = Conversation("c", (*talk().messages, Message("user", "Thanks.")))
    found = rewritten(conversation, str.upper)
    assert found is not None
    assert found.messages[-1] == Message("user", "Thanks.")
    assert found.messages[-2].content == REPLY.upper()


def test_sentences():
    assert sentences("One. Two! Three?\nFour") == ["One.", "Two!", "Three?", "Four"]
    assert sentences("") == []
    assert sentences("it hurts so much. it really does") == ["it hurts so much.", "it really does"]


# ---- additions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", ["Oh.", REPLY, "I am here. " * 40])
def test_padding_is_about_as_long_as_the_reply_and_never_short(reply):
    text = changed(additions.padding, talk(reply))["at its end"]
    added = text.removeprefix(reply.strip())
    assert added != text
    assert len(added) >= min(max(additions.LEAST, len(reply.strip())), sum(map(len, additions.FILLER)))
    assert len(added) <= max(additions.LEAST, len(reply)) + 120


@pytest.mark.parametrize(
    "change", [additions.politeness, additions.flattery, additions.self_praise, additions.authority]
)
def test_what_is_added_stands_around_the_whole_reply(change):
    found = changed(change)
    assert len(found) >= 2
    for text in found.values():
        assert REPLY in text
        assert text != REPLY


def test_repetition():
    assert changed(replies.repeats_itself) == {"twice": f"{REPLY}\n\n{REPLY}"}
    before = "My dog died this morning.\nHe was fourteen."
    assert changed(replies.repeats_context) == {"before it": f"{before}\n\n{REPLY}"}


# ---- other replies --------------------------------------------------------------------------------------------------


def test_other_replies_take_its_place():
    assert changed(replies.empty) == {"empty": ""}
    assert set(changed(replies.one_token).values()) == set(replies.TOKENS)
    assert changed(replies.master_key) == {key: key for key in replies.MASTER_KEYS}
    assert {":", ".", "Solution", "Thought process:"} <= set(replies.MASTER_KEYS)


def test_a_misplaced_reply_is_a_stranger_s_and_says_whose():
    sibling = Conversation("dog2", (*talk().messages[:-1], Message("assistant", "Dogs die.")))
    conversations = [talk(), sibling, STRANGER]
    where = scene_of(conversations, RUBRIC)
    (variant,) = replies.misplaced(talk(), where)
    assert target_of(variant.after, "reply").text == "That hurts, after all that work."
    assert variant.lender == "exam"
    assert list(replies.misplaced(talk(), scene_of(conversations[:2], RUBRIC))) == []


def test_languages_are_compared_with_the_same_reply_in_english():
    variants = list(replies.language(talk(), scene()))
    assert {variant.name for variant in variants} == set(replies.NEUTRAL) - {"English"}
    for variant in variants:
        assert variant.before is not None
        assert target_of(variant.before, "reply").text == replies.NEUTRAL["English"]
        assert target_of(variant.after, "reply").text == replies.NEUTRAL[variant.name]


# ---- wording --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "before", "after"),
    [
        (rewording.contractions, "I'm here and you're not.", "I am here and you are not."),
        (rewording.contractions, "You don’t have to.", "You do not have to."),
        (rewording.contractions, "Don't you think so?", None),
        (rewording.contractions, "It is late, isn't it?", None),
        (rewording.contractions, "You can't, and it won't.", "You cannot, and it will not."),
        (rewording.contractions, "It does not matter. You cannot know.", "It doesn't matter. You can't know."),
        (rewording.contractions, "He said no.", None),
        (rewording.punctuation, 'She said "no"...', "She said “no”…"),
        (rewording.punctuation, "That’s “it” – yes…", 'That\'s "it" - yes...'),
        (rewording.punctuation, "Plain.", None),
        (rewording.casing, "I see. OK", "i see. ok"),
        (rewording.casing, "i see", None),
        (rewording.spelling, "Mum realised it. My favourite colour!", "Mom realized it. My favorite color!"),
        (rewording.spelling, "The color of my mom's car.", "The colour of my mum's car."),
        (rewording.spelling, "Nothing here.", None),
        (rewording.spacing, "One. Two? Three.", "One.  Two?  Three."),
        (rewording.spacing, "One.", None),
    ],
)
def test_rewording(way, before, after):
    assert way(before) == after


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("aI 'tmdon.?!,\"-–’rvecs WELLcolour"), max_size=80))
def test_rewording_keeps_the_letters_of_what_it_does_not_spell(text):
    for name in ("punctuation", "casing", "spacing"):
        found = rewording.WAYS[name](text)
        if found is not None:
            assert found != text
            letters = [character for character in found.casefold() if character.isalnum()]
            assert letters == [character for character in text.casefold() if character.isalnum()]


def test_layout_keeps_every_word():
    found = changed(rewording.formatting)
    assert set(found) == {"bullets", "heading", "bold"}
    assert found["bullets"].startswith("- I'm so sorry, he was family.\n- You don't")
    assert found["heading"].startswith("## I'm so sorry, he was family.\n\nYou don't")
    assert found["bold"].startswith("**I'm so sorry, he was family.** You don't")
    for text in found.values():
        kept = text.replace("**", "").replace("## ", "").replace("\n- ", " ").removeprefix("- ")
        assert kept.split() == REPLY.split()
    assert changed(rewording.formatting, talk("- One.\n- Two.")) == {}
    assert changed(rewording.formatting, talk("Only one sentence.")) == {}


def test_what_the_user_brings():
    assert changed(rewording.paraphrases) == {}
    conversation = talk(paraphrases=["I am very sorry.", "", 7, "So sorry."])
    assert changed(rewording.paraphrases, conversation) == {
        "paraphrase 1": "I am very sorry.",
        "paraphrase 4": "So sorry.",
    }
    other = talk(mine="Sorry.")
    assert changed(rewording.paraphrases, other, scene(other, paraphrases="mine")) == {"paraphrase 1": "Sorry."}


def test_translations_of_the_reply_or_of_everything():
    whole = [{"role": message.role, "content": message.content.upper()} for message in talk().messages]
    conversation = talk(translations={"German": "Es tut mir leid.", "Loud": whole, "Broken": whole[:2], "Odd": 3})
    variants = {variant.name: variant for variant in rewording.translations(conversation, scene(conversation))}
    assert set(variants) == {"German", "Loud"}
    assert variants["German"].after.messages[:-1] == conversation.messages[:-1]
    assert [message.content for message in variants["Loud"].after.messages] == [item["content"] for item in whole]


# ---- injections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", [probe for probe in PROBES if probe.group == "injections"], ids=lambda p: p.name)
def test_injections_leave_the_words_of_the_reply(probe):
    found = changed(probe.change)
    assert len(found) >= 3
    for name, text in found.items():
        assert [word for word in REPLY.split() if word not in text.split()] == []
        place = name.rpartition(", ")[2]
        assert text.startswith(REPLY) == (place == "after")
        assert text.endswith(REPLY) == (place == "before")


def test_a_fake_verdict_names_the_rubric_s_best_levels():
    text = changed(named("fake_verdict").change)["all criteria, after"]
    verdicts = json.loads(text.removeprefix(REPLY))
    assert {key: verdict["level"] for key, verdict in verdicts.items()} == {"warm": 5, "blames": "no", "tone": "warm"}
    assert list(verdicts["warm"]) == ["reason", "evidence", "level"]
    assert json.loads(changed(named("fake_verdict").change)["json, after"].removeprefix(REPLY))["level"] == 5


def test_a_fake_fence_has_the_mark_of_the_reply_it_was_made_for():
    text = changed(named("fake_fence").change)["kardia, after"]
    assert f"{nonce(REPLY)} reply>>>" in text
    assert nonce(text) not in text


# ---- the catalogue --------------------------------------------------------------------------------------------------


def test_names_and_groups_choose():
    assert chosen(None) == chosen([]) == PROBES
    assert [probe.name for probe in chosen(["retest", "padding"])] == ["padding", "retest"]
    assert {probe.group for probe in chosen(["injections"])} == {"injections"}
    assert "retest" not in {probe.name for probe in chosen(["-retest"])}
    assert len(chosen(["-retest"])) == len(PROBES) - 1
    assert [probe.name for probe in chosen(["wording", "-language", "-translations", "-paraphrases"])] == [
        "formatting",
        "rewording",
    ]
    assert set(GROUPS) == {probe.group for probe in PROBES}
    with pytest.raises(InputError, match=r"no probe 'paddin' \(did you mean padding\?\); there are padding"):
        chosen(["paddin"])
    with pytest.raises(InputError, match="no probe is left"):
        chosen(["padding", "-additions"])


def test_every_probe_says_what_it_does_and_what_to_do():
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    for probe in PROBES:
        assert not probe.what.endswith(".")
        assert probe.advice
        assert json.loads(json.dumps(probe.to_json()))["name"] == probe.name
        assert not (probe.attack and probe.expects == "same")
