"""What came of a request, to bytes and back."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import asking, at, binary, choice, make, ordinal

from kardia.answer import from_distribution
from kardia.engine.asked import Asked, decode, encode, in_words
from kardia.judge.profile import Price
from kardia.judge.protocol import Usage
from kardia.judgment import Judgment
from kardia.rubric.models import Criterion

RUBRIC = make(
    ordinal("kind"),
    binary("blames", good="no"),
    choice("tone"),
    ordinal("cold", -2, 2, good="low"),
    ordinal("far", 0, 100),
)
FREE = Price()
ANY_TEXT = st.text(st.characters())  # half surrogate pairs too
COUNT = st.integers(0, 10**9)


@st.composite
def judgments(draw, criterion: Criterion) -> Judgment:
    reason, error = draw(st.none() | ANY_TEXT), draw(ANY_TEXT)
    kind = draw(st.sampled_from(["level", "shares", "both", "unscored", "abstained", "not_applicable"]))
    if kind in ("unscored", "abstained", "not_applicable"):
        return Judgment(criterion.id, kind, reason=reason, error=error)
    level = draw(st.sampled_from(criterion.levels))
    if kind == "level":
        quoted = tuple(draw(st.lists(ANY_TEXT, max_size=3)))
        return Judgment(criterion.id, "scored", level, criterion.value(level), reason, quoted)
    weights = draw(st.lists(st.floats(1e-9, 1.0), min_size=len(criterion.levels), max_size=len(criterion.levels)))
    shares = dict(zip(criterion.levels, weights, strict=True))
    made = from_distribution(criterion, shares, level if kind == "both" else None)
    return Judgment(criterion.id, "scored", made.level, made.value, reason, (), made.probabilities)


def usages(price: Price = FREE) -> st.SearchStrategy[Usage]:
    return st.builds(lambda r, a, i, o: Usage(r, i, o, price.cost(i, o), a), COUNT, COUNT, COUNT, COUNT)


@given(st.tuples(*(judgments(criterion) for criterion in RUBRIC.criteria)), usages())
def test_what_goes_in_comes_out(every, usage):
    asked = Asked(every, usage)
    assert decode(encode(asked), asking(RUBRIC, "all_criteria"), FREE) == asked


@given(judgments(RUBRIC.criteria[0]), usages(Price(input_per_million=2.5, output_per_million=10.0)))
def test_the_cost_is_that_of_the_price_now(judgment, usage):
    payload = encode(Asked((judgment,), usage))
    paid = decode(payload, asking(RUBRIC), Price(input_per_million=2.5, output_per_million=10.0))
    assert paid is not None
    assert paid.usage == usage
    again = decode(payload, asking(RUBRIC), Price(input_per_million=5.0, output_per_million=20.0))
    assert again is not None
    assert math.isclose(again.usage.cost, 2 * usage.cost)
    assert decode(payload, asking(RUBRIC), FREE).usage.cost is None


def test_ids_and_values_are_those_of_the_criterion_now():
    judgment = at(RUBRIC.criteria[0], 4)
    payload = encode(Asked((judgment,), Usage(1)))
    turned = make(ordinal("renamed", good="low"))
    read = decode(payload, asking(turned), FREE)
    assert read is not None
    assert (read.judgments[0].criterion, read.judgments[0].level, read.judgments[0].value) == ("renamed", 4, 0.25)
    shares = from_distribution(RUBRIC.criteria[0], {1: 0.5, 5: 0.25, 2: 0.25})
    read = decode(encode(Asked((shares,), Usage(1))), asking(turned), FREE)
    assert read is not None
    assert math.isclose(read.judgments[0].value, 1.0 - shares.value)


@pytest.mark.parametrize("rubric", [make(ordinal("kind", 1, 3)), make(binary("kind")), make(choice("kind"))])
def test_levels_that_are_on_no_scale_any_more_are_asked_again(rubric):
    for judgment in (at(RUBRIC.criteria[0], 4), from_distribution(RUBRIC.criteria[0], {4: 0.5, 3: 0.5}, 3)):
        assert decode(encode(Asked((judgment,), Usage(1))), asking(rubric), FREE) is None


def test_another_number_of_criteria_is_asked_again():
    payload = encode(Asked((at(RUBRIC.criteria[0], 4),), Usage(1)))
    assert decode(payload, asking(RUBRIC, "all_criteria"), FREE) is None


GOOD = ["scored", 4, "because", ["a"], None, None]


@pytest.mark.parametrize(
    "row",
    [
        ["scored", None, "because", [], None, None],
        ["unscored", 4, None, [], None, "why"],
        ["scored", True, "because", [], None, None],
        ["scored", 4.0, "because", [], None, None],
        ["scored", [4], "because", [], None, None],
        ["Scored", 4, "because", [], None, None],
        [["scored"], 4, "because", [], None, None],
        ["scored", 4, 7, [], None, None],
        ["scored", 4, "because", "a", None, None],
        ["scored", 4, "because", [1], None, None],
        ["scored", 4, "because", [], [4], None],
        ["scored", 4, "because", [], [4, 1], None],
        ["scored", 4, "because", [], [4, 1.5], None],
        ["scored", 4, "because", [], [4.0, 1.0], None],
        ["scored", 4, "because", [], [9, 1.0], None],
        ["scored", 4, "because", [], {"4": 1.0}, None],
        ["scored", 4, "because", [], None, 3],
        ["scored", 4, "because", []],
        [*GOOD, None],
        "scored",
        7,
    ],
)
def test_what_is_not_of_the_form_is_asked_again(row):
    assert decode(json.dumps([1, [1, 1, 0, 0], [GOOD]]).encode(), asking(RUBRIC), FREE) is not None
    assert decode(json.dumps([1, [1, 1, 0, 0], [row]]).encode(), asking(RUBRIC), FREE) is None


@pytest.mark.parametrize(
    "data",
    [
        [2, [1, 1, 0, 0], [GOOD]],
        [1, [1, 1, 0], [GOOD]],
        [1, [1, 1, 0, -1], [GOOD]],
        [1, [1, 1, 0, 0.0], [GOOD]],
        [1],
        {},
        None,
    ],
)
def test_another_frame_is_asked_again(data):
    payload = json.dumps(data).encode()
    assert decode(payload, asking(RUBRIC), FREE) is None
    assert in_words(payload) is None


@given(st.binary(max_size=60))
def test_noise_is_asked_again(noise):
    assert decode(noise, asking(RUBRIC), FREE) is None


@given(judgments(RUBRIC.criteria[0]), st.data())
def test_a_damaged_payload_breaks_nothing(judgment, data):
    payload = bytearray(encode(Asked((judgment,), Usage(1, 2, 3, None, 1))))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    read = decode(bytes(payload), asking(RUBRIC), FREE)
    if read is not None:
        assert read.judgments[0].level in (None, *RUBRIC.criteria[0].levels)


def test_in_words():
    asked = Asked(
        (at(RUBRIC.criteria[0], 4), from_distribution(RUBRIC.criteria[1], {"no": 0.75, "yes": 0.25})),
        Usage(2, 30, 4, None, 1),
    )
    said = in_words(encode(asked))
    assert said is not None
    assert said["usage"] == {"requests": 2, "attempts": 1, "input_tokens": 30, "output_tokens": 4}
    first, second = said["judgments"]
    assert (first["status"], first["level"], first["reason"], first["probabilities"]) == ("scored", 4, "because", None)
    assert (second["level"], second["probabilities"]) == ("no", {"no": 0.75, "yes": 0.25})


def test_more_criteria_than_are_kept_in_mind():
    for number in range(3000):
        rubric = make(ordinal("kind", 1, 2 + number % 7), ordinal("other"))
        payload = encode(Asked((at(rubric.criteria[0], 2),), Usage(1)))
        read = decode(payload, asking(rubric), FREE)
        assert read is not None
        assert read.judgments[0].value == rubric.criteria[0].value(2)


def test_left_out_messages_are_kept():
    known = Judgment("kind", "scored", 4, 0.75, "because", dropped=3)
    payload = encode(Asked((known,), Usage(1)))
    request = asking(make(ordinal("kind")))
    found = decode(payload, request, FREE)
    assert found is not None
    assert found.judgments == (known,)
    assert in_words(payload)["judgments"][0]["dropped_messages"] == 3
    assert "dropped_messages" not in in_words(encode(Asked((at(RUBRIC.criteria[0], 4),), Usage(1))))["judgments"][0]
    for wrong in (b",0]", b",-1]", b",true]", b",3,3]", b',"3"]'):
        assert decode(payload.replace(b",3]", wrong), request, FREE) is None, wrong
