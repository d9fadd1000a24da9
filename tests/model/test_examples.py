"""Splits in which no conversation stands on both sides."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kardia.errors import InputError
from kardia.model.examples import (
    Labelled,
    check_examples,
    components,
    data_hash,
    folds,
    level_target,
    split,
)
from kardia.student.tasks import Task

TASK = Task("t", (1, 2, 3), True, "")
words = st.sampled_from(["", "a", "b", "c", "d", "e", " a ", "f"])
many = st.lists(
    st.builds(lambda context, reply, group: Labelled(context, reply, group, {}), words, words, words),
    min_size=1,
    max_size=25,
)


def of(number, level, **more):
    return Labelled(f"c{number}", f"r{number}", f"g{number}", {"t": level_target(TASK, level)}, id=str(number), **more)


@given(many)
def test_what_shares_a_group_or_a_context_stays_together(examples):
    places = {index: number for number, part in enumerate(components(examples)) for index in part}
    assert sorted(places) == list(range(len(examples)))
    for a, one in enumerate(examples):
        for b, other in enumerate(examples):
            if one.group == other.group or (one.context.strip() and one.context.strip() == other.context.strip()):
                assert places[a] == places[b]
            if not one.context.strip() and not other.context.strip() and one.reply.strip() == other.reply.strip():
                assert places[a] == places[b]


@given(many, st.floats(0.05, 0.6), st.integers(0, 5))
def test_a_split_never_straddles(examples, share, seed):
    try:
        train, dev = split(examples, share, seed)
    except InputError:
        assert len(components(examples)) == 1
        return
    assert sorted(train + dev) == list(range(len(examples)))
    assert train
    assert dev
    for part in components(examples):
        assert set(part) <= set(train) or set(part) <= set(dev)


def test_a_split_has_about_its_share_and_hangs_on_the_seed_and_not_on_the_order():
    examples = [of(number, 1) for number in range(200)]
    train, dev = split(examples, 0.15, 7)
    assert 28 <= len(dev) <= 32
    chosen = {examples[index].id for index in dev}
    shuffled = random.Random(0).sample(examples, len(examples))
    assert {shuffled[index].id for index in split(shuffled, 0.15, 7)[1]} == chosen
    assert {examples[index].id for index in split(examples, 0.15, 8)[1]} != chosen
    assert split(examples, 0.0, 7) == (list(range(200)), [])
    assert set(train).isdisjoint(dev)


@given(many, st.integers(2, 4))
def test_folds_cover_everything_once(examples, count):
    try:
        parts = folds(examples, count, 0)
    except InputError:
        assert len(components(examples)) < count
        return
    assert sorted(index for part in parts for index in part) == list(range(len(examples)))
    assert all(parts)
    for component in components(examples):
        assert sum(not set(component).isdisjoint(part) for part in parts) == 1


def test_the_data_hash_hangs_on_what_is_learnt_and_not_on_the_order():
    examples = [of(number, 1 + number % 3) for number in range(5)]
    assert data_hash(examples) == data_hash(examples[::-1])
    assert data_hash(examples).startswith("sha256:")
    assert data_hash([*examples[:-1], of(4, 1)]) != data_hash(examples)
    assert data_hash([*examples[:-1], of(4, 2, weight=2.0)]) != data_hash(examples)


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ([of(1, 1), of(2, 1)], "only labels of one level of t"),
        ([Labelled("c", "r", "g", {})], "no label of t"),
        ([of(1, 1), of(2, 2), Labelled("c", "r", "g", {"u": (1.0,)}, id="x")], "'x' has a label of 'u'"),
        ([of(1, 1), Labelled("c", "r", "g", {"t": (0.5, 0.5)}, id="x")], "no distribution over levels"),
        ([of(1, 1), Labelled("c", "r", "g", {"t": (0.5, 0.6, 0.0)}, id="x")], "no distribution over levels"),
        ([of(1, 1), Labelled("c", "r", "g", {"t": (1.5, -0.5, 0.0)}, id="x")], "no distribution over levels"),
        ([of(1, 1), of(2, 2, weight=0.0)], "'2' has the weight 0.0"),
    ],
)
def test_what_cannot_be_learnt_from(examples, said):
    with pytest.raises(InputError, match=said):
        check_examples(examples, [TASK])


def test_soft_targets_show_two_levels():
    check_examples([Labelled("c", "r", "g", {"t": (0.5, 0.5, 0.0)})], [TASK])


def test_a_level_off_the_scale_is_no_target():
    for wrong in (0, 4, "1", True):
        with pytest.raises(KeyError):
            level_target(TASK, wrong)
