"""Answers that are written within a schema."""

from __future__ import annotations

import functools
import json
import random

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llguidance")

from jsonschema import Draft202012Validator  # noqa: E402
from making import binary, criterion, ordinal  # noqa: E402

from judge.local.tiny import model_of, tokenizer_of  # noqa: E402
from kardia.answer import answer_schema  # noqa: E402
from kardia.judge.local.reader import Reader, Stopped  # noqa: E402
from kardia.judge.local.tree import grow  # noqa: E402
from kardia.judge.local.writer import Prompt, Writer, Written, bounded  # noqa: E402
from kardia.judge.profile import Sampling  # noqa: E402

WARM = criterion(ordinal("warm", not_relevant="Where nobody is addressed."))
SCHEMA = answer_schema([WARM], "per_criterion")
CHANCE = random.Random(4)
HEAD = tuple(CHANCE.randrange(3, 390) for _ in range(40))
TAILS = [tuple(CHANCE.randrange(3, 390) for _ in range(CHANCE.randint(3, 20))) for _ in range(5)]
PROMPTS = [Prompt(HEAD + tail, SCHEMA) for tail in TAILS]


def writer_of(name="qwen2", most=None, **sampling):
    reader = Reader(model_of(name), most)
    return Writer(reader, tokenizer_of(), Sampling(**{"max_tokens": 90, "temperature": 1.0, **sampling}), [2])


@pytest.mark.parametrize("name", ["qwen2", "gemma3", "mistral"])
def test_what_is_written_keeps_to_the_schema(name):
    writer = writer_of(name)
    answers = writer.write(PROMPTS)
    whole = [answer for answer in answers if not answer.truncated]
    assert whole
    for answer in whole:
        data = json.loads(answer.text)
        Draft202012Validator(SCHEMA).validate(data)
        assert list(data) == ["reason", "evidence", "level"]
        assert data["reason"].strip()
        assert 0 < answer.tokens <= 90


def noting(model, widths):
    """The model's `generate`, which notes how many tokens a row has in each of its passes."""
    generate, forward = model.generate, model.forward

    @functools.wraps(forward)
    def noted(*args, **kwargs):
        widths.append(kwargs["input_ids"].shape[1])
        return forward(*args, **kwargs)

    def run(**kwargs):
        model.forward = noted
        try:
            return generate(**kwargs)
        finally:
            del model.forward

    return run


@pytest.mark.parametrize("name", ["qwen2", "gemma3", "gemma2", "mistral"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_shared_prompts_change_nothing(name, temperature, monkeypatch):
    """Together with keys and values of a tree, alone, and by `generate` without any of ours: the same words."""
    some = PROMPTS[:3]
    writer = writer_of(name, temperature=temperature, max_tokens=12)
    model, widths = writer._reader.model, []
    with monkeypatch.context() as patch:
        patch.setattr(model, "generate", noting(model, widths))
        together = writer.write([*some, some[0]])
    assert set(widths) == {1}  # what the tree has computed is not computed again
    assert writer._reader.computed == grow([prompt.tokens[:-1] for prompt in some]).size
    assert together[-1] == together[0]
    assert together[1:2] == writer.write(some[1:2])
    writer._reader.shares = False
    assert together[:-1] == writer.write(some)


def test_a_sample_has_its_own_chance():
    writer = writer_of(max_tokens=20)
    samples = [Prompt(PROMPTS[0].tokens, SCHEMA, sample) for sample in range(4)]
    first = writer.write(samples)
    assert len({answer.text for answer in first}) > 1
    assert writer.write(samples[::-1])[::-1] == first
    # sample n is drawn with seed + n, whoever asks for it
    assert writer_of(max_tokens=20, seed=8).write(samples[:1]) == first[1:2]
    assert writer_of(max_tokens=20, seed=9).write(samples[:1]) != first[:1]
    restless = writer_of(max_tokens=20, seed=None)
    assert len({restless.write(samples[:1])[0].text for _ in range(4)}) > 1


def test_draws_follow_the_probabilities():
    """Over many draws, the shares are those of the softmax; `top_p` leaves out the tail."""
    from kardia.judge.local.writer import _Constraint

    class Anything:
        def is_error(self):
            return True  # then every token is allowed

    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    chances = [random.Random(1)]
    for top_p, expected in ((None, [0.5, 0.3, 0.15, 0.05]), (0.7, [0.625, 0.375, 0.0, 0.0])):
        draw = _Constraint([Anything()], 4, chances, Sampling(temperature=1.0, top_p=top_p), 5)
        counts = torch.zeros(4)
        for _ in range(2000):
            counts[draw(torch.zeros(1, 5, dtype=torch.long), scores).argmax()] += 1
        assert (counts / 2000).tolist() == pytest.approx(expected, abs=0.04)
        assert [count == 0 for count in counts.tolist()] == [share == 0 for share in expected]


def test_an_answer_that_ends_at_its_limit_says_so():
    (answer,) = writer_of(max_tokens=5).write(PROMPTS[:1])
    assert answer == Written(answer.text, 5, True)
    assert answer.text.startswith("{")


def test_a_stop_is_heard_between_tokens():
    asks = iter([False] * 8 + [True] * 9)
    with pytest.raises(Stopped):
        writer_of().write(PROMPTS[:2], lambda: next(asks))


def test_free_texts_are_bounded_so_that_there_is_a_verdict():
    schema = bounded(SCHEMA, 120)
    reason, evidence = schema["properties"]["reason"], schema["properties"]["evidence"]
    assert reason["maxLength"] == 120
    assert (evidence["maxItems"], evidence["items"]["maxLength"]) == (3, 20)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"reason": "x", "evidence": ["y"], "level": 5})
    assert validator.is_valid({"reason": "x", "evidence": [], "level": "not relevant"})
    for wrong in (" \n", "x" * 121):
        assert not validator.is_valid({"reason": wrong, "evidence": [], "level": 5})
    assert "maxLength" not in SCHEMA["properties"]["reason"]  # the request's own is left as it was
    both = answer_schema([WARM, criterion(binary("kind"))], "all_criteria")
    inner = bounded(both, 120)["properties"]
    assert [part["properties"]["reason"]["maxLength"] for part in inner.values()] == [60, 60]
    ranking = bounded(answer_schema([WARM], "groupwise", 3), 120)["properties"]["ranking"]
    assert (ranking["minItems"], ranking["maxItems"]) == (3, 3)
    pair = bounded(answer_schema([WARM], "pairwise"), 120)
    assert pair["properties"]["better"]["enum"] == ["A", "B", "tie"]


def test_a_schema_that_cannot_be_kept_is_one_rows_failure():
    impossible = {"type": "object", "properties": {"reason": {"type": "string"}, "x": {"type": "nothing"}}}
    first, second = writer_of(max_tokens=12).write([Prompt(HEAD, impossible), PROMPTS[0]])
    assert "cannot be kept to" in str(first)
    assert second == writer_of(max_tokens=12).write(PROMPTS[:1])[0]
