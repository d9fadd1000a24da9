"""The backend transformers: a chat model on this machine, from conversations to scorecards."""

from __future__ import annotations

import asyncio
import functools
import json
import pickle
import threading
import time

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("llguidance")

from making import binary, choice, make, ordinal  # noqa: E402

import kardia  # noqa: E402 - torch first
from judge.local.tiny import saved  # noqa: E402
from kardia.conversation import Conversation, Message  # noqa: E402
from kardia.errors import ProfileError  # noqa: E402
from kardia.judge.backends.transformers import TransformersJudge  # noqa: E402
from kardia.judge.profile import JudgeProfile, load_profile  # noqa: E402
from kardia.plan import Planner  # noqa: E402

RUBRIC = make(ordinal("warm"), binary("kind"), choice("tone"))
CPU = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model"))


def judge_of(folder, mode="logprob", sampling=None, **options):
    profile = JudgeProfile(
        name="here",
        backend="transformers",
        model=str(folder),
        mode=mode,
        sampling={"max_tokens": 100, **(sampling or {})},
        transformers={"device": "cpu", **options},
    )
    return TransformersJudge(profile)


def group(count=4):
    """Completions of one prompt."""
    head = (Message("system", "Be kind."), Message("user", "My dog died this morning. He was family."))
    return [
        Conversation(f"c{n}", (*head, Message("assistant", f"I'm so sorry. {'He was loved. ' * n}What was he like?")))
        for n in range(count)
    ]


def scored(judge, conversations, rubric=RUBRIC, **further):
    return list(kardia.score_many(conversations, rubric, judge, **{"ledger": "off", **further}))


def alone(judge, conversation, rubric=RUBRIC):
    """The probabilities of every criterion, by one forward pass for each label."""
    loaded = judge._engine.loaded
    found = {}
    for request in Planner(rubric, judge.profile).plan(conversation).requests:
        messages = [{"role": each.role, "content": each.content} for each in request.messages]
        prompt = loaded.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        start = len(loaded.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        sums = {}
        for label in request.labels:
            ids = torch.tensor([loaded.tokenizer(prompt + label, add_special_tokens=False)["input_ids"]])
            with torch.inference_mode():
                told = torch.log_softmax(loaded.model(input_ids=ids).logits[0], dim=-1)
            sums[label] = sum(float(told[place - 1, ids[0, place]]) for place in range(start, ids.shape[1]))
        shares = torch.tensor(list(sums.values()), dtype=torch.float64).softmax(0).tolist()
        found[request.criteria[0].id] = dict(zip(request.labels.values(), shares, strict=True))
    return found


# --- reading ---------------------------------------------------------------------------------------------------------


def test_probabilities_are_those_of_every_label_read_alone(folder):
    judge = judge_of(folder)
    conversations = group()
    cards = scored(judge, conversations)
    for card, conversation in zip(cards, conversations, strict=True):
        assert card.status == "scored"
        for id_, shares in alone(judge, conversation).items():
            judgment = card.criteria[id_]
            assert judgment.probabilities == pytest.approx(shares, abs=1e-4)
            assert sum(judgment.probabilities.values()) == pytest.approx(1)
            values = {level: RUBRIC.by_id[id_].value(level) for level in shares}
            assert judgment.value == pytest.approx(
                sum(values[level] * share for level, share in shares.items()), abs=1e-4
            )
            assert judgment.level in shares
            assert (judgment.reason, judgment.evidence, judgment.dropped) == (None, (), 0)
            assert 0 < judgment.entropy < 1


def test_what_requests_share_is_computed_once(folder):
    judge = judge_of(folder)
    cards = scored(judge, group(4))
    used = sum(card.usage["input_tokens"] for card in cards)
    reader = judge._engine.reader
    assert reader.shares
    assert used > 3 * reader.computed
    # one conversation at a time, each goes on from where the one before left off
    before = reader.computed
    for conversation in group(4):
        scored(judge, [conversation])
    assert reader.computed - before < 1.7 * before


def test_usage_is_the_requests_own_whoever_else_is_asked(folder):
    judge = judge_of(folder)
    together = scored(judge, group(3))
    assert together[1].to_json() == scored(judge, group(3)[1:2])[0].to_json()
    usage = together[0].usage
    assert (usage["requests"], usage["output_tokens"]) == (3, 0)
    assert all(each["input_tokens"] > 100 for each in usage["criteria"].values())


def test_the_template_asks_for_a_level_alone(folder):
    judge = judge_of(folder)
    (card,) = scored(judge, group(1))
    assert card.provenance["template"]["name"] == "level"
    prompt = Planner(RUBRIC, judge.profile).plan(group(1)[0]).requests[0].messages[1].content
    assert prompt.endswith("Answer with exactly one of these and nothing else: 1, 2, 3, 4, 5")
    assert "eason" not in prompt.split("Criterion:")[1]


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["per_criterion", "all_criteria"])
def test_reasons_come_before_levels(folder, mode):
    # random weights write random letters, a byte each: three of them at a time take long to come to an end
    count, most = (3, 220) if mode == "per_criterion" else (1, 1000)
    judge = judge_of(folder, mode, {"temperature": 1.0, "max_tokens": most})
    cards = scored(judge, group(count))
    found = [judgment for card in cards for judgment in card.criteria.values()]
    good = [judgment for judgment in found if judgment.status == "scored"]
    assert len(good) > len(found) / 2
    for judgment in good:
        assert judgment.reason
        assert judgment.probabilities is None
        assert judgment.level in RUBRIC.by_id[judgment.criterion].levels
    for judgment in found:
        if judgment.status == "unscored":
            assert judgment.error.startswith("the answer was cut off at its token limit")
    assert all(card.usage["output_tokens"] > 20 for card in cards)
    assert [card.to_json() for card in cards] == [card.to_json() for card in scored(judge, group(count))]


def test_samples_differ_and_greedy_answers_do_not(folder):
    rubric = make(ordinal("warm"))
    drawn = judge_of(folder, "per_criterion", {"samples": 4, "temperature": 1.5})
    (card,) = scored(drawn, group(1), rubric)
    assert len(card.criteria["warm"].samples) == 4
    asked = Planner(rubric, drawn.profile).plan(group(1)[0]).requests
    texts = [answer.text for answer in asyncio.run(drawn.answer(asked))]
    assert len(set(texts)) > 1


def test_replies_can_be_compared(folder):
    pair = kardia.judge_pair(*group(2), "supportiveness@1", judge_of(folder, "pairwise", {"max_tokens": 150}))
    assert pair.status == "scored", pair.error
    assert len(pair.reasons) == 2
    # a judge whose own mode is logprob writes here, for it is asked for words
    other = kardia.judge_pair(*group(2), "supportiveness@1", judge_of(folder, sampling={"max_tokens": 150}))
    assert other.better == pair.better


# --- what is too long ------------------------------------------------------------------------------------------------


def lengthy(count=12):
    said = [Message(("user", "assistant")[n % 2], f"Message {n} of a long talk. " * 3) for n in range(count)]
    return Conversation("long", (*said, Message("user", "My dog died."), Message("assistant", "I'm so sorry.")))


def tokens_of(judge, conversation):
    return max(
        judge_usage["input_tokens"] for judge_usage in scored(judge, [conversation])[0].usage["criteria"].values()
    )


def test_what_is_longer_than_the_context_is_unscored_with_the_reason(folder):
    short = tokens_of(judge_of(folder), group(1)[0])
    cards = scored(judge_of(folder, max_context=short + 20), [lengthy(), group(1)[0]])
    assert [card.status for card in cards] == ["unscored", "scored"]
    error = cards[0].criteria["warm"].error
    assert "longer than the model's context" in error
    assert f"of at most {short + 20}" in error
    assert cards[0].criteria["warm"].dropped == 0


def test_the_oldest_messages_are_left_out_and_the_scorecard_says_so(folder, tmp_path):
    whole = tokens_of(judge_of(folder), lengthy())
    judge = judge_of(folder, max_context=whole - 100, too_long="truncate")
    (card,) = scored(judge, [lengthy()], ledger=tmp_path / "ledger.db")
    computed = judge._engine.reader.computed
    (again,) = scored(judge, [lengthy()], ledger=tmp_path / "ledger.db")
    assert judge._engine.reader.computed == computed
    assert card.status == "scored"
    dropped = {id_: judgment.dropped for id_, judgment in card.criteria.items()}
    assert all(0 < number < 12 for number in dropped.values())
    told = card.to_json()
    assert told["criteria"]["warm"]["dropped_messages"] == dropped["warm"]
    assert again.to_json() == told
    # exactly what the shorter conversation would have got, and no message more is left out than must be
    shorter = Conversation("long", lengthy().messages[dropped["warm"] :])
    expected = scored(judge_of(folder), [shorter])[0].criteria["warm"]
    assert card.criteria["warm"].probabilities == pytest.approx(expected.probabilities, abs=1e-5)
    one_more = Conversation("long", lengthy().messages[dropped["warm"] - 1 :])
    assert tokens_of(judge_of(folder), one_more) > whole - 100 - 5
    assert "dropped_messages" not in scored(judge, group(1))[0].to_json()["criteria"]["warm"]


def test_room_is_left_for_the_answer(folder):
    short = tokens_of(judge_of(folder), group(1)[0])
    (card,) = scored(judge_of(folder, "per_criterion", {"max_tokens": 400}, max_context=short + 300), group(1))
    assert "and 400 for the answer" in card.criteria["warm"].error


# --- memory ----------------------------------------------------------------------------------------------------------


def starved(judge, most, problem):
    """The judge's model, which runs out of memory with more than `most` tokens at a time; tells how many there were."""
    seen = []
    model = judge._engine.loaded.model
    forward = model.forward

    @functools.wraps(forward)  # `generate` looks at what it takes
    def limited(*args, **kwargs):
        seen.append(kwargs["input_ids"].numel())
        if seen[-1] > most:
            raise problem
        return forward(*args, **kwargs)

    model.forward = limited
    return seen


@pytest.mark.parametrize(
    "problem", [RuntimeError(CPU), torch.OutOfMemoryError("CUDA out of memory")], ids=["cpu", "gpu"]
)
def test_out_of_memory_halves_what_is_read_at_a_time_and_goes_on(folder, problem):
    judge = judge_of(folder)
    expected = [card.to_json() for card in scored(judge, group(4))]
    judge._engine.reader.forget()
    seen = starved(judge, 300, problem)
    assert [card.to_json() for card in scored(judge, group(4))] == expected
    assert seen[0] > 300
    assert judge._engine.reader.chunk == 256
    judge._engine.reader.forget()
    del seen[:]
    scored(judge, group(4))
    assert max(seen) <= 256  # it is remembered


def test_what_does_not_fit_alone_is_unscored(folder):
    judge = judge_of(folder)
    scored(judge, group(1))
    engine = judge._engine
    forward, most = engine.loaded.model.forward, 1.15 * tokens_of(judge, group(1)[0])

    @functools.wraps(forward)  # `generate` looks at what it takes
    def limited(*args, **kwargs):
        if kwargs["position_ids"].max() > most:  # as though the keys and values of the path were too much
            raise RuntimeError(CPU)
        return forward(*args, **kwargs)

    engine.loaded.model.forward = limited
    engine.reader.forget()
    cards = scored(judge, [group(1)[0], lengthy(), group(2)[1]])
    assert [card.status for card in cards] == ["scored", "unscored", "scored"]
    assert "the memory does not hold the conversation" in cards[1].criteria["warm"].error


def test_out_of_memory_halves_the_answers_that_are_written_at_a_time(folder):
    judge = judge_of(folder, "per_criterion")
    expected = [card.to_json() for card in scored(judge, group(2))]
    model = judge._engine.loaded.model
    forward, rows = model.forward, []

    @functools.wraps(forward)  # `generate` looks at what it takes
    def limited(*args, **kwargs):
        rows.append(len(kwargs["input_ids"]))
        if rows[-1] > 2:
            raise RuntimeError(CPU)
        return forward(*args, **kwargs)

    model.forward = limited
    assert [card.to_json() for card in scored(judge, group(2))] == expected
    assert max(rows) == 6
    del rows[:]
    scored(judge, group(2))
    assert max(rows) <= 3


def test_other_faults_are_not_swallowed(folder):
    judge = judge_of(folder)
    scored(judge, group(1))
    starved(judge, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        scored(judge, group(1))


# --- the judge as an object ------------------------------------------------------------------------------------------


def test_identity_is_all_that_determines_an_answer(folder, tmp_path):
    def identity(*args, **kwargs):
        return judge_of(*args, **kwargs).identity

    here = identity(folder)
    assert json.loads(here)["model"].startswith("sha256:")
    assert identity(folder, batch_tokens=100) == here
    assert identity(folder, sampling={"seed": 9}) == here  # nothing is drawn
    other = saved(tmp_path / "other", seed=1)
    different = [
        here,
        identity(other),
        identity(folder, dtype="bfloat16"),
        identity(folder, adapter=str(other)),
        identity(folder, max_context=50),
        identity(folder, too_long="truncate"),
        identity(folder, quantization="8bit"),
        identity(folder, "per_criterion"),
        identity(folder, "per_criterion", {"seed": 9}),
        identity(folder, "per_criterion", {"max_tokens": 9}),
    ]
    assert len(set(different)) == len(different)
    assert judge_of(folder, device="cpu").profile.hash == judge_of(folder, batch_tokens=5).profile.hash
    assert judge_of(folder).profile.hash != judge_of(folder, dtype="bfloat16").profile.hash


def test_it_travels_to_another_process_and_serves_several_threads(folder):
    judge = pickle.loads(pickle.dumps(judge_of(folder)))
    expected = [card.to_json() for card in scored(judge, group(2))]
    found: dict[int, list[dict]] = {}

    def work(number):
        found[number] = [card.to_json() for card in scored(judge, group(2))]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 3
    asyncio.run(judge.aclose())
    assert scored(judge, group(1))[0].status == "scored"
    assert repr(judge) == "TransformersJudge('here')"
    assert isinstance(kardia.load_judge(judge.profile), TransformersJudge)


def test_a_caller_who_goes_away_ends_the_work(folder):
    judge = judge_of(folder, batch_tokens=64)
    scored(judge, group(1))
    model, forward = judge._engine.loaded.model, judge._engine.loaded.model.forward
    passes: list[int] = []
    under_way = threading.Event()

    @functools.wraps(forward)
    def slow(*args, **kwargs):
        passes.append(1)
        if len(passes) == 3:
            under_way.set()
        time.sleep(0.02)
        return forward(*args, **kwargs)

    model.forward = slow
    requests = Planner(RUBRIC, judge.profile).plan(lengthy(20)).requests

    async def leave():
        task = asyncio.create_task(judge.answer(requests))
        assert await asyncio.to_thread(under_way.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())  # waits for its threads
    assert len(passes) < 8
    model.forward = forward
    judge._engine.reader.forget()
    assert scored(judge, group(1))[0].to_json() == scored(judge_of(folder, batch_tokens=64), group(1))[0].to_json()


# --- its profile -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"model": None}, "the backend transformers needs a `model`"),
        ({"transformers": {"device": "gpu"}}, "transformers.device"),
        ({"transformers": {"too_long": "cut"}}, "transformers.too_long"),
        ({"backend": "fake"}, "goes with the backend transformers"),
        ({"mode": "logprob", "template": "logprob"}, "asks for a reason first"),
        ({"mode": "logprob", "sampling": {"samples": 3}}, "samples nothing in the mode logprob"),
        (
            {"backend": "http", "base_url": "http://x/v1", "transformers": None, "revision": "v1"},
            "`revision` belongs to",
        ),
    ],
)
def test_profiles_that_make_no_sense(tmp_path, profile, message):
    data = {"name": "here", "backend": "transformers", "model": "m", "transformers": {"device": "cpu"}, **profile}
    file = tmp_path / "here.yaml"
    file.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    with pytest.raises(ProfileError) as problem:
        load_profile(file)
    assert message in str(problem.value)


def test_the_shipped_profiles():
    read, write = load_profile("local-logprob"), load_profile("local-reasoned")
    assert (read.template_name, write.template_name) == ("level", "reasoned")
    assert read.destination == write.destination == "this machine (nothing is sent)"
    assert read.reads_prompts
    assert read.shows_confidence
    assert not write.shows_confidence


def test_a_model_that_is_not_here_ends_the_run(tmp_path):
    with pytest.raises(ProfileError, match="there is no folder"):
        scored(judge_of(tmp_path / "nowhere"), group(1))
