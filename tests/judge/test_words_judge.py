"""The backend `words`: what it answers, from what it abstains, and that it needs nothing."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kardia
from kardia.content import shipped
from kardia.conversation import Conversation, Message
from kardia.errors import ProfileError
from kardia.judge import load_judge
from kardia.judge.backends.words import UNASKED, WordsJudge
from kardia.judge.profile import JudgeProfile, load_profile
from kardia.judge.protocol import Judge, Known, Opinion, Request
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import RubricFile
from kardia.rubric.rubric import Rubric
from kardia.spans import target_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "conversations.jsonl"
CONTEXT = "I failed the exam again and I don't know how to tell my parents."
KIND = "Oh no. After all those weeks of work, of course you dread that talk. Do you want to think it through together?"
COLD = "Should have studied more. Stop whining and get over it, nobody cares."
ELSEWHERE = "We won the cup on Sunday, and my brother scored!"


@pytest.fixture(scope="module")
def judge() -> WordsJudge:
    return WordsJudge(load_profile("words"))


@pytest.fixture(scope="module")
def rubric() -> Rubric:
    return load_rubric("supportiveness@1.0.0")


def request(rubric: Rubric, reply: str, *, context: str = CONTEXT) -> Request:
    conversation = Conversation("c", (Message("user", context), Message("assistant", reply)))
    target = target_of(conversation, rubric.criteria[0].reads or "reply")
    return Request(conversation, target, rubric, rubric.criteria, "per_criterion")


def ask(judge: WordsJudge, *requests: Request) -> list[dict[str, Opinion]]:
    answers = asyncio.run(judge.answer(requests))
    assert all(isinstance(answer, Known) for answer in answers)
    return [dict(answer.opinions) for answer in answers if isinstance(answer, Known)]


def place(opinion: Opinion) -> float:
    """The place on the scale that a judge says."""
    assert opinion.probabilities is not None
    return sum(number * share for number, share in enumerate(opinion.probabilities.values()))


def edited(rubric: Rubric, **changes: Any) -> Rubric:
    """A rubric with its first criterion changed."""
    first, *rest = rubric.criteria
    criteria = [first.model_copy(update=changes), *rest]
    kept = [item.model_dump(exclude_defaults=True) for item in criteria]
    written = {"name": "mine", "version": "1.0.0", "title": "Mine", "criteria": kept}
    return Rubric(RubricFile.model_validate(written))


def test_it_is_a_judge_without_words(judge: WordsJudge) -> None:
    assert isinstance(judge, Judge)
    assert judge.reads_prompts is False
    assert judge.profile.reads_prompts is False
    assert judge.batch_size > 1
    assert isinstance(load_judge("words"), WordsJudge)
    assert repr(judge) == "WordsJudge('words')"


def test_it_travels(judge: WordsJudge, rubric: Rubric) -> None:
    asked = request(rubric, KIND)
    said = ask(judge, asked)
    fresh = pickle.loads(pickle.dumps(judge))
    assert fresh.profile == judge.profile
    assert fresh.identity == judge.identity
    assert ask(fresh, asked) == said


class TestJudging:
    def test_every_criterion_of_the_shipped_rubrics(self, judge: WordsJudge) -> None:
        for name in ("emotional-support@1", "kardia-r1@1", "empathy-mechanisms@1", "anti-hacking@1"):
            rubric = load_rubric(name)
            (opinions,) = ask(judge, request(rubric, KIND))
            assert set(opinions) == set(rubric.by_id)
            for key, opinion in opinions.items():
                assert opinion.abstained is None
                assert opinion.probabilities is not None
                assert tuple(opinion.probabilities) == rubric.by_id[key].levels
                assert sum(opinion.probabilities.values()) == pytest.approx(1, abs=1e-12)

    def test_a_kind_reply_and_a_cold_one(self, judge: WordsJudge, rubric: Rubric) -> None:
        kind, cold = ask(judge, request(rubric, KIND), request(rubric, COLD))
        for key in ("warmth", "validates_feeling", "respects_autonomy"):
            assert place(kind[key]) > place(cold[key]) + 0.5

    def test_the_context_counts(self, judge: WordsJudge) -> None:
        rubric = load_rubric("understanding@1")
        reply = "Failing that exam again, and now telling your parents."
        here, there = ask(judge, request(rubric, reply), request(rubric, reply, context=ELSEWHERE))
        assert place(here["grasps_situation"]) > place(there["grasps_situation"]) + 0.5

    def test_what_is_asked_beside_it_makes_no_difference(self, judge: WordsJudge, rubric: Rubric) -> None:
        asked = [request(rubric, reply, context=text) for reply in (KIND, COLD, "") for text in (CONTEXT, ELSEWHERE)]
        together = ask(judge, *asked)
        assert together == [ask(judge, each)[0] for each in asked]
        assert together[::-1] == ask(judge, *asked[::-1])
        single = Request(asked[0].conversation, asked[0].target, rubric, rubric.criteria[1:2], "per_criterion")
        assert ask(judge, single)[0] == {rubric.criteria[1].id: together[0][rubric.criteria[1].id]}

    @pytest.mark.parametrize("reply", ["I am sorry \ud800\udfff that this hurts so much.", "I'm sorry. " * 90_000])
    def test_odd_replies(self, judge: WordsJudge, rubric: Rubric, reply: str) -> None:
        (opinions,) = ask(judge, request(rubric, reply, context=reply))
        assert all(opinion.probabilities for opinion in opinions.values())

    def test_no_requests(self, judge: WordsJudge) -> None:
        assert ask(judge) == []
        asyncio.run(judge.aclose())


class TestAbstaining:
    @pytest.mark.parametrize(
        "changes",
        [
            {"question": "Is the reply warm?"},
            {"guidance": "Look twice."},
            {"not_relevant": "Where nobody speaks."},
            {"reads": "conversation"},
        ],
    )
    def test_another_question(self, judge: WordsJudge, rubric: Rubric, changes: dict[str, Any]) -> None:
        mine = edited(rubric, **changes)
        (opinions,) = ask(judge, request(mine, KIND))
        first, *rest = mine.criteria
        assert opinions[first.id] == Opinion(abstained=UNASKED)
        assert all(opinions[criterion.id].probabilities for criterion in rest)

    def test_a_rubric_of_ones_own_has_no_score(self) -> None:
        scale = {"levels": {1: "Rude.", 2: "Polite."}}
        criteria = [{"id": "polite", "question": "Is it polite?", "scale": scale}]
        written = {"name": "mine", "version": "1.0.0", "title": "Mine", "criteria": criteria}
        row = {"context": CONTEXT, "response": KIND}
        card = kardia.score(row, Rubric(RubricFile.model_validate(written)), "words")
        assert (card.score, card.criteria["polite"].status) == (None, "abstained")
        assert card.criteria["polite"].error == UNASKED

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            ("", "no words that could be compared"),
            ("❤️🫂", "no words that could be compared"),
            ("Мне очень жаль.", "not in Latin script"),
            ("Das tut mir sehr leid, nach all den Wochen. Magst du erzählen?", "too few of the judged text's words"),
        ],
    )
    def test_replies_that_it_cannot_read(self, judge: WordsJudge, rubric: Rubric, reply: str, words: str) -> None:
        for opinion in ask(judge, request(rubric, reply))[0].values():
            assert opinion.probabilities is None
            assert words in (opinion.abstained or "")


class TestTheModelsFile:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        """A profile of one's own beside a copy of the model."""
        shutil.copy(shipped("judges") / "words" / "model.json", tmp_path / "mine.json")
        (tmp_path / "mine.yaml").write_text("name: mine\nbackend: words\nwords: {model: mine.json}\n")
        return tmp_path

    def test_it_lies_beside_the_profile(
        self, own: Path, judge: WordsJudge, rubric: Rubric, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        profile = load_profile(own / "mine.yaml")
        assert profile.words_model == own / "mine.json"
        assert ask(WordsJudge(profile), request(rubric, KIND)) == ask(judge, request(rubric, KIND))
        monkeypatch.chdir(own)
        made = JudgeProfile.model_validate({"name": "m", "backend": "words", "words": {"model": "mine.json"}})
        assert WordsJudge(made).identity == judge.identity

    def test_what_is_in_it_counts_and_not_where_it_lies(self, own: Path, judge: WordsJudge) -> None:
        known = load_profile(own / "mine.yaml").hash
        shutil.copy(own / "mine.json", own / "other.json")
        assert load_profile(own / "mine.yaml", ["words.model=other.json"]).hash == known
        identity = json.loads(judge.identity)
        assert identity["backend"] == "words"
        assert identity["kardia"] == kardia.__version__
        with (own / "other.json").open("a") as stream:
            stream.write("\n")
        other = load_profile(own / "mine.yaml", ["words.model=other.json"])
        assert other.hash != known
        assert WordsJudge(other).identity != judge.identity

    def test_one_that_is_not_there_or_no_model(self, own: Path, rubric: Rubric) -> None:
        gone = load_profile(own / "mine.yaml", ["words.model=gone.json"])
        for act in (lambda: gone.hash, lambda: WordsJudge(gone).identity, lambda: ask(WordsJudge(gone))):
            with pytest.raises(ProfileError, match=r"gone\.json: cannot be read"):
                act()
        (own / "mine.json").write_text('{"format": "kardia-words/1"}')
        with pytest.raises(ProfileError, match=r"mine\.json: vocabulary: is missing"):
            ask(WordsJudge(load_profile(own / "mine.yaml")), request(rubric, KIND))

    def test_a_profile_of_another_backend(self) -> None:
        with pytest.raises(ProfileError, match=r"has no `words\.model`"):
            WordsJudge(JudgeProfile(name="fake", backend="fake"))


class TestTheCommandLine:
    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            env={**os.environ, "PYTHONPATH": path, "KARDIA_LEDGER": "off"},
        )

    def test_it_scores_the_examples(self, tmp_path: Path) -> None:
        asked = ("score", str(EXAMPLES), "--rubric", "emotional-support", "--judge", "words", "-o", "out.jsonl")
        done = self.run(tmp_path, "-m", "kardia", *asked)
        cards = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(cards) == len(EXAMPLES.read_text(encoding="utf-8").splitlines()), done.stderr
        assert {card["judge"] for card in cards} == {"words"}
        scored = [card["score"] for card in cards if card["status"] == "scored"]
        assert len(scored) > len(cards) / 2
        assert len(set(scored)) == len(scored)

    def test_it_needs_nothing_that_computes(self, tmp_path: Path) -> None:
        code = (
            "import sys, kardia\n"
            f"card = kardia.score({{'context': {CONTEXT!r}, 'response': {KIND!r}}}, 'supportiveness@1', 'words')\n"
            "assert card.status == 'scored', card\n"
            "print([name for name in ('numpy', 'torch', 'sklearn', 'scipy') if name in sys.modules])"
        )
        done = self.run(tmp_path, "-c", code)
        assert done.stdout == "[]\n", done.stderr

    def test_it_can_be_looked_at(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "-m", "kardia", "judge", "check", "words")
        assert done.returncode == 0, done.stderr
        assert "works; on the check's own criterion it abstains" in done.stdout
        shown = self.run(tmp_path, "-m", "kardia", "judge", "show", "words").stdout
        assert "words.model" in shown
        assert "words/model.json" in shown
        rendered = self.run(
            tmp_path, "-m", "kardia", "rubric", "render", "supportiveness", str(EXAMPLES), "--judge", "words"
        )
        assert rendered.returncode == 0, rendered.stderr
        assert "the judge words reads no prompt" in rendered.stderr
