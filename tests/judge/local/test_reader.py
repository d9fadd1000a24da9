"""Reading as a tree gives what reading each sequence alone gives, whatever the architecture."""

from __future__ import annotations

import random
import warnings

import pytest

from kardia.judge.local.labels import question_of
from kardia.judge.local.tree import grow

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from judge.local.tiny import ARCHITECTURES, model_of  # noqa: E402
from kardia.judge.local.plain import read_plainly  # noqa: E402 - torch first
from kardia.judge.local.reader import Reader, Stopped  # noqa: E402

CLOSE = 1e-4
END = 2


def questions(replies=3, criteria=3, seed=1):
    """Prompts of one conversation: (tokens, labels), one label of several tokens, and one that begins another."""
    chance = random.Random(seed)

    def text(low, high):
        return tuple(chance.randrange(3, 400) for _ in range(chance.randint(low, high)))

    head = text(40, 40)
    asked = [text(8, 14) for _ in range(criteria)]
    labels = {"a": text(1, 1), "b": text(1, 1), "c": text(3, 3)}
    labels["d"] = labels["c"][:1]
    return [
        (head + reply + criterion, labels) for reply in [text(9, 25) for _ in range(replies)] for criterion in asked
    ]


def asked(pairs):
    return [question_of({name: prompt + label for name, label in labels.items()}, END) for prompt, labels in pairs]


def alone(model, prompt, labels):
    """The labels' shares, by one forward pass for each label, with nothing of ours."""
    sums = {}
    for name, label in labels.items():
        ids = torch.tensor([[*prompt, *label, END]])
        with torch.inference_mode():
            told = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0].float(), dim=-1)
        places = range(len(prompt), ids.shape[1])
        sums[name] = sum(float(told[place - 1, ids[0, place]]) for place in places)
    weights = {name: torch.tensor(number, dtype=torch.float64).exp() for name, number in sums.items()}
    return {name: float(weight / sum(weights.values())) for name, weight in weights.items()}


def shares_of(reader, some):
    told = iter(reader.read([reading for each in some for reading in each.readings]))
    return [each.shares([next(told) for _ in each.readings]) for each in some]


def furthest(ours, theirs):
    return max(abs(one[name] - other[name]) for one, other in zip(ours, theirs, strict=True) for name in one)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equal_to_reading_each_label_alone(name):
    model = model_of(name)
    reader = Reader(model)
    assert reader.shares
    pairs = questions()
    some = asked(pairs)
    naive = [alone(model, *pair) for pair in pairs]
    assert max(max(each.values()) for each in naive) > 0.5  # the model does prefer one label to another
    assert furthest(shares_of(reader, some), naive) < CLOSE
    distinct = grow([reading.tokens for each in some for reading in each.readings]).size
    assert reader.computed == distinct
    # in chunks that cut texts anywhere, with the path's keys and values on the stack
    for chunk in (7, 64):
        cut = Reader(model, chunk)
        assert furthest(shares_of(cut, some), naive) < CLOSE
        assert cut.computed == distinct
    # batch after batch: what came before is gone on from
    for start in range(0, len(some), 4):
        assert furthest(shares_of(reader, some[start : start + 4]), naive[start : start + 4]) < CLOSE
    assert reader.computed < 2 * distinct


def test_the_test_would_see_a_window_that_is_left_out():
    """The sliding windows above do cut: the same weights without them say something else."""
    pairs = questions(1, 2)
    cut, whole = model_of("mistral"), model_of("mistral", sliding_window=None)
    assert furthest([alone(cut, *pair) for pair in pairs], [alone(whole, *pair) for pair in pairs]) > 10 * CLOSE


@pytest.mark.parametrize("name", ["qwen2", "gemma3", "gpt-oss"])
def test_nothing_hangs_on_who_else_is_read(name):
    reader = Reader(model_of(name))
    some = asked(questions())
    together = shares_of(reader, some)
    for place in (0, 4, 8):
        reader.forget()
        assert furthest(shares_of(reader, [some[place]]), [together[place]]) < 1e-5
    shuffled = list(range(len(some)))
    random.Random(3).shuffle(shuffled)
    assert furthest(shares_of(reader, [some[place] for place in shuffled]), [together[p] for p in shuffled]) < 1e-5


def test_plain_batches_are_equal_too():
    model = model_of("llama")
    some = asked(questions(2, 2))
    readings = [reading for each in some for reading in each.readings]
    padded = read_plainly(model, readings, 400)
    single = [read_plainly(model, [reading], 1)[0] for reading in readings]
    ours = Reader(model).read(readings)
    for one, other, third in zip(padded, single, ours, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
        assert third == pytest.approx(other, abs=1e-4)


def test_equal_sequences_are_one_and_the_same_question_again_is_a_few_tokens():
    reader = Reader(model_of())
    some = asked(questions(1, 1))
    readings = some[0].readings[-1:] * 3
    first = reader.read(readings)
    assert first[0] == first[1] == first[2]
    assert reader.computed == len(readings[0].tokens)
    assert reader.read(readings)[0] == pytest.approx(first[0], abs=1e-5)
    again = len(readings[0].tokens) - readings[0].fresh  # what is asked about is computed anew
    assert 0 < again < 5
    assert reader.computed == len(readings[0].tokens) + again


def test_a_model_that_cannot_share_is_found_out_and_read_plainly():
    from transformers import AutoModelForCausalLM, BloomConfig, MambaConfig

    sizes = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2}
    for config in (BloomConfig(**sizes, n_head=4), MambaConfig(**sizes)):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
        with pytest.warns(RuntimeWarning, match="computed for each of them again"):
            reader = Reader(model)
        assert not reader.shares
        pairs = questions(1, 2)
        some = asked(pairs)
        assert furthest(shares_of(reader, some), [alone(model, *pair) for pair in pairs]) < CLOSE
        assert reader.computed == sum(len(reading.tokens) for each in some for reading in each.readings)


def test_the_trial_compares_numbers(monkeypatch):
    """A model whose attention is ours but whose positions are lost would read differently: that is noticed."""
    model = model_of("llama")
    forward = model.forward

    def lost(*args, position_ids=None, **kwargs):
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", lost)
    with pytest.warns(RuntimeWarning, match="reads a tree of tokens differently"):
        assert not Reader(model).shares


def test_a_window_that_attention_is_not_told_of_is_not_guessed():
    model = model_of("mistral")
    for layer in model.model.layers:
        layer.self_attn.config = None
    # the attention module asks its configuration for the window: one that has none gives none
    import copy

    other = copy.deepcopy(model.config)
    other.sliding_window = None
    for layer in model.model.layers:
        layer.self_attn.config = other
    other._attn_implementation = "sdpa"
    with pytest.warns(RuntimeWarning, match="computed for each of them again"):
        assert not Reader(model).shares


def test_stretched_positions_are_read_alone():
    """Beyond what a rotary embedding was trained for, a whole pass is stretched, what is short in it too."""
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "rope_theta": 10000.0}
    rope["original_max_position_embeddings"] = 64
    model = model_of("phi3", rope_parameters=rope, original_max_position_embeddings=64)
    reader = Reader(model)
    assert reader.shares
    (_, labels), chance = questions(1, 1)[0], random.Random(2)
    head = tuple(chance.randrange(3, 400) for _ in range(30))
    prompts = [head + tuple(chance.randrange(3, 400) for _ in range(length)) for length in (9, 20, 70, 28, 120)]
    pairs = [(prompt, labels) for prompt in prompts]
    some = asked(pairs)
    assert furthest(shares_of(reader, some), [alone(model, *pair) for pair in pairs]) < CLOSE
    readings = [reading for each in some for reading in each.readings]
    distinct = grow([each.tokens for each in readings if len(each.tokens) <= 64]).size
    assert reader.computed == distinct + sum(len(each.tokens) for each in readings if len(each.tokens) > 64)


def test_the_models_own_attention_is_put_back():
    model = model_of("qwen3")
    before = model.config._attn_implementation
    reader = Reader(model)
    reader.read([reading for each in asked(questions(1, 1)) for reading in each.readings])
    assert model.config._attn_implementation == before
    with pytest.raises(ZeroDivisionError):
        reader.read([reading for each in asked(questions(1, 1)) for reading in each.readings], lambda: 1 // 0)
    assert model.config._attn_implementation == before


def test_a_stop_is_heard_between_passes():
    reader = Reader(model_of(), 20)
    some = [reading for each in asked(questions(1, 2)) for reading in each.readings]
    asks = iter([False, False, True])
    with pytest.raises(Stopped):
        reader.read(some, lambda: next(asks))
    assert reader.computed == 40
    # what was cut off leaves nothing behind that is wrong
    again = reader.read(some)
    fresh = Reader(reader.model, 20).read(some)
    assert all(one == pytest.approx(other, abs=1e-5) for one, other in zip(again, fresh, strict=True))


def test_relief_halves_down_to_a_least():
    reader = Reader(model_of())
    sizes = [reader.chunk]
    while reader.relieve():
        sizes.append(reader.chunk)
    assert sizes == [2048, 1024, 512, 256, 128, 64]


def test_half_precision_shares_as_well():
    model = model_of("qwen2").to(torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Reader(model).shares
