"""The model of words, in pure Python: it is scikit-learn's, its file is read strictly, and no text upsets it."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kardia.errors import ProfileError
from kardia.judge.words import (
    BOUND,
    FIGURES,
    MIN_KNOWN,
    WORD,
    Features,
    FittedTask,
    Reader,
    Reading,
    WordsModel,
    features,
    figures,
    level_shares,
    plain,
    predict,
    read_words,
    silence,
    words_digest,
)

DIGEST = "sha256:" + "0" * 64
TASK: dict[str, Any] = {
    "key": "small.warm",
    "digest": DIGEST,
    "levels": [1, 2, 3],
    "alpha": 1.0,
    "intercept": 1.0,
    "figures": [0, 0.5, 0, 0.25, 0],
    "unit": 0.01,
    "weights": [-20, 0, 100, 50],
}
MODEL: dict[str, Any] = {
    "format": "kardia-words/1",
    "made": {"data": "made up"},
    "vocabulary": {"the": 1.0, "day": 2.0, "sorry": 3.0, "sorry day": 4.0},
    "common": ["the"],
    "figures": {name: {"mean": 0.5, "scale": 2} for name in FIGURES},
    "tasks": [TASK],
}
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates, too


def model(**changes: Any) -> WordsModel:
    return WordsModel.model_validate({**copy.deepcopy(MODEL), **changes})


def task(**changes: Any) -> FittedTask:
    return FittedTask.model_validate({**TASK, **changes})


def read(text: str) -> Reading:
    return Reader(MODEL["vocabulary"], MODEL["common"]).read(text)


class TestReading:
    def test_words_and_pairs_of_words(self) -> None:
        found = read("Sorry, sorry. The DAY's over; sorry day 3x")
        assert found.words == 8
        assert found.known == pytest.approx(5 / 8)
        assert found.content == {"sorry", "day's", "over", "day", "x"}
        raw = {0: 1.0, 1: 2.0, 2: (1 + math.log(3)) * 3.0, 3: 4.0}
        length = math.sqrt(sum(weight**2 for weight in raw.values()))
        assert found.terms == pytest.approx({place: weight / length for place, weight in raw.items()})

    def test_one_kind_of_apostrophe(self) -> None:
        assert plain("Don’t") == "don't"
        assert WORD.findall(plain("DON’T 'quote' rock'n'roll o'")) == ["don't", "quote", "rock'n'roll", "o"]

    def test_figures_of_a_pair(self) -> None:
        found = figures(read("the sorry day, the boat"), read("sorry for the boat?"))
        cosine, of_reply, of_context, length, question = found
        assert 0 < cosine < 1
        assert (of_reply, of_context) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
        assert length == pytest.approx(math.log(5))
        assert question == 1.0
        same = read("sorry day")
        assert figures(same, same)[:3] == pytest.approx((1, 1, 1))
        assert figures(read(""), read("")) == (0, 0, 0, 0, 0)
        assert figures(read("the"), read("the"))[1:3] == (0, 0)

    def test_figures_go_no_further_than_the_bound(self) -> None:
        narrow = model(figures={name: {"mean": 0.0, "scale": 0.01} for name in FIGURES})
        found = features(narrow, read("sorry"), read("sorry? " * 50))
        assert found.figures == (BOUND,) * 5
        assert features(model(), read("sorry"), read("sorry")).figures[1] == pytest.approx((1 - 0.5) / 2)

    def test_a_prediction_by_hand(self) -> None:
        seen = Features(((2, 0.6), (0, 0.8)), (0.0, 0.2, 9.0, -0.4, 9.0))
        assert predict(task(), seen) == pytest.approx(1 + 0.01 * (60 - 16) + 0.1 - 0.1)
        assert predict(task(intercept=99), seen) == 2.0
        assert predict(task(intercept=-99), seen) == 0.0


class TestSilence:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no words that could be compared"),
            ("… 12:30 ❤️", "no words that could be compared"),
            ("\ud800\udfff\ud800", "no words that could be compared"),
            ("Мне очень жаль.", "mostly not in Latin script, and the judge has learnt English"),
            ("Es tut mir leid, the day", "too few of the judged text's words"),
        ],
    )
    def test_texts_that_are_not_judged(self, text: str, words: str) -> None:
        assert words in (silence(text, read(text)) or "")

    def test_a_share_of_known_words_is_enough(self) -> None:
        assert MIN_KNOWN == 0.4
        assert silence("sorry the boat went down", read("sorry the boat went down")) is None
        assert silence("sorry boat went down", read("sorry boat went down")) is not None


class TestAnyText:
    @given(ANY_TEXT, ANY_TEXT)
    def test_a_pair_has_a_prediction_on_the_scale(self, context: str, reply: str) -> None:
        first, second = read(context), read(reply)
        assert 0 <= second.known <= 1
        norm = math.fsum(weight**2 for weight in second.terms.values())
        assert norm == pytest.approx(1 if second.terms else 0)
        seen = features(model(), first, second)
        assert all(-BOUND <= figure <= BOUND for figure in seen.figures)
        assert seen == features(model(), first, second)
        assert 0 <= predict(task(), seen) <= 2

    @pytest.mark.parametrize(
        ("text", "words"),
        [("sorry " * 170_000, 170_000), ("'" * 1_000_000, 0), ("a'" * 500_000, 1), ("\ud800" * 1_000_000, 0)],
    )
    def test_a_megabyte(self, text: str, words: int) -> None:
        found = read(text)
        assert found.words == words
        assert 0 <= predict(task(), features(model(), found, found)) <= 2

    @given(st.integers(2, 7), st.floats(0, 1))
    def test_shares_of_two_neighbours_whose_expectation_is_the_place(self, count: int, where: float) -> None:
        levels = tuple(range(1, count + 1))
        value = where * (count - 1)
        shares = level_shares(levels, value)
        assert tuple(shares) == levels
        assert all(share >= 0 for share in shares.values())
        assert sum(shares.values()) == pytest.approx(1, abs=1e-12)
        assert sum(place * share for place, share in enumerate(shares.values())) == pytest.approx(value, abs=1e-6)
        given_ = [place for place, share in enumerate(shares.values()) if share > 0]
        assert given_[-1] - given_[0] <= 1

    def test_the_ends_of_a_scale(self) -> None:
        assert level_shares(("no", "yes"), 0.0) == {"no": 1.0, "yes": 0.0}
        assert level_shares(("no", "yes"), 1.0) == {"no": 0.0, "yes": 1.0}
        assert level_shares((1, 2, 3), 1.0) == {1: 0.0, 2: 1.0, 3: 0.0}


# --- the same as scikit-learn ----------------------------------------------------------------------------------------

WORDS = ("I", "sorry", "you're", "don’t", "day", "Über", "naïve", "boat", "so", "3", "x2", "—", "dog.", "Why?", "a")


def sentences(count: int, rng: random.Random) -> list[str]:
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, 30))) for _ in range(count)]


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, Any, WordsModel]:
    """A vectorizer and a ridge on random texts, and the model that they make."""
    np = pytest.importorskip("numpy")
    pytest.importorskip("sklearn")
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    rng = random.Random(5)
    texts, contexts = sentences(200, rng), sentences(200, rng)
    vectorizer = TfidfVectorizer(
        preprocessor=plain, token_pattern=WORD.pattern, ngram_range=(1, 2), sublinear_tf=True, min_df=2
    )
    vectorizer.fit(texts)
    vocabulary = dict(zip(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.tolist(), strict=True))
    reader = Reader(vocabulary, ["i", "so"])
    dense = np.array([figures(reader.read(a), reader.read(b)) for a, b in zip(contexts, texts, strict=True)])
    mean, scale = dense.mean(axis=0), dense.std(axis=0)
    inputs = csr_matrix(hstack([vectorizer.transform(texts), np.clip((dense - mean) / scale, -BOUND, BOUND)]))
    ridge = Ridge(alpha=0.5, solver="sparse_cg", tol=1e-8).fit(inputs, [rng.uniform(0, 4) for _ in texts])
    made = model(
        vocabulary=vocabulary,
        common=["i", "so"],
        figures={name: {"mean": float(a), "scale": float(b)} for name, a, b in zip(FIGURES, mean, scale, strict=True)},
        tasks=[
            {
                **TASK,
                "levels": [0, 1, 2, 3, 4],
                "intercept": float(ridge.intercept_),
                "unit": 1,
                "figures": ridge.coef_[-5:].tolist(),
                "weights": ridge.coef_[:-5].tolist(),
            }
        ],
    )
    return vectorizer, ridge, made


class TestAsScikitLearn:
    @settings(deadline=None)
    @given(st.one_of(ANY_TEXT, st.lists(st.sampled_from(WORDS)).map(" ".join)))
    def test_the_terms_of_any_text(self, fitted: tuple[Any, Any, WordsModel], text: str) -> None:
        vectorizer, _, made = fitted
        row = vectorizer.transform([text]).tocoo()
        wanted = dict(zip(row.col.tolist(), row.data.tolist(), strict=True))
        assert Reader(made.vocabulary, made.common).read(text).terms == pytest.approx(wanted, abs=1e-9)

    def test_predictions(self, fitted: tuple[Any, Any, WordsModel]) -> None:
        import numpy as np
        from scipy.sparse import csr_matrix, hstack

        vectorizer, ridge, made = fitted
        rng = random.Random(6)
        texts, contexts = sentences(100, rng), sentences(100, rng)
        reader = Reader(made.vocabulary, made.common)
        seen = [
            features(made, reader.read(context), reader.read(text))
            for context, text in zip(contexts, texts, strict=True)
        ]
        inputs = csr_matrix(hstack([vectorizer.transform(texts), np.array([each.figures for each in seen])]))
        wanted = np.clip(ridge.predict(inputs), 0, 4)
        assert [predict(made.tasks[0], each) for each in seen] == pytest.approx(wanted.tolist(), abs=1e-6)
        assert wanted.std() > 0.2


# --- the file --------------------------------------------------------------------------------------------------------


def in_task(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["tasks"][0].update(changes)


def at_the_top(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update(changes)


class TestTheFile:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "model.json"
        path.write_text(json.dumps(MODEL), encoding="utf-8")
        assert read_words(path) == model()
        digest = words_digest(path)
        path.write_text(json.dumps(MODEL) + "\n", encoding="utf-8")
        assert words_digest(path) != digest

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (at_the_top(format="kardia-words/2"), "format: "),
            (at_the_top(extra=1), "extra: is not a key that belongs here"),
            (at_the_top(vocabulary={}), "vocabulary: "),
            (at_the_top(vocabulary={**MODEL["vocabulary"], "day": "2"}), "vocabulary.day: "),
            (at_the_top(vocabulary={**MODEL["vocabulary"], "day": -1}), "vocabulary.day: "),
            (at_the_top(vocabulary={"the": 1.0}), "the task small.warm has 4 weights for 1 terms"),
            (at_the_top(common=[1]), "common.0: "),
            (at_the_top(figures={"length": {"mean": 0, "scale": 1}}), "figures: must hold cosine, of_reply, "),
            (lambda data: data["figures"]["length"].update(scale=0), "figures.length.scale: "),
            (at_the_top(tasks=[]), "tasks: "),
            (lambda data: data["tasks"].append(TASK), "the question of the task small.warm stands in it twice"),
            (in_task(digest="sha256:0"), "tasks.0.digest: is no digest"),
            (in_task(levels=[1]), "tasks.0.levels: "),
            (in_task(levels=[1, 1]), "tasks.0.levels: names a level twice"),
            (in_task(levels=[1, 2.5]), "tasks.0.levels.1"),
            (in_task(figures=[0.0]), "tasks.0.figures: "),
            (in_task(weights=[1, 2, "3", 4]), "tasks.0.weights.2: "),
            (in_task(weights=[1, 2, True, 4]), "tasks.0.weights.2: "),
            (in_task(weights=[1, 2, 3, 1e9]), "tasks.0.weights.3: "),
            (in_task(unit=-1), "tasks.0.unit: "),
            (lambda data: data["tasks"][0].pop("intercept"), "tasks.0.intercept: is missing"),
        ],
    )
    def test_what_is_wrong_is_said_with_its_key(
        self, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
    ) -> None:
        path, data = tmp_path / "model.json", copy.deepcopy(MODEL)
        change(data)
        path.write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(ProfileError) as caught:
            read_words(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert words in str(caught.value)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", ":1: is not JSON"),
            (b'{\n"format": }', ":2: is not JSON"),
            (b"\xff\xfe", "is not UTF-8 text"),
            (b"[]", "is no model of words: expected a JSON object"),
            (b'{"format": NaN}', "NaN is no number"),
            (b'{"format": "a", "format": "b"}', "'format' stands in one object twice"),
            (b"[" * 200_000, "is not JSON"),
        ],
    )
    def test_what_is_no_model_at_all(self, tmp_path: Path, content: bytes, words: str) -> None:
        path = tmp_path / "model.json"
        path.write_bytes(content)
        with pytest.raises(ProfileError) as caught:
            read_words(path)
        assert words in str(caught.value)
        assert str(path) in str(caught.value)

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        for read_it in (read_words, words_digest):
            for path in (tmp_path / "none.json", tmp_path):
                with pytest.raises(ProfileError, match="cannot be read: "):
                    read_it(path)
