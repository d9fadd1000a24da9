"""The gate: gradients, a preference that depends on the prompt, and scoring as it was fitted."""

from __future__ import annotations

from pathlib import Path

import pytest
from learning import tiny_encoder
from making import at, make, ordinal, without

from kardia.artifact import EncoderId, Verbosity
from kardia.errors import InputError
from kardia.fitting.cards import Card, Cards, counted_shares
from kardia.fitting.gating import Gate, fit_gating
from kardia.fitting.paired import Paired, Text, paired, text_of
from kardia.fitting.ratings import Pair
from kardia.learned import gating_score

from .simulated import JUDGE, subject

np = pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")

RUBRIC = make(ordinal("warm"), ordinal("clear"), ordinal("brief"), name="made")
ENCODER = EncoderId(model="none", sha256="0" * 64, dimensions=12)
CARDS = Cards("scores.jsonl", judge=dict(JUDGE))


def preferences(prompts=60, pairs=3, *, by_prompt=True, gaps=0.0, seed=0) -> Paired:
    """Prompts of two topics. Where the topic decides, people prefer what is warm in the one and clear in the other."""
    random = np.random.default_rng(seed)
    topics_TD = random.normal(size=(2, ENCODER.dimensions))
    topic_U = random.integers(0, 2, prompts)
    vector_UD = topics_TD[topic_U] + random.normal(0, 0.4, (prompts, ENCODER.dimensions))
    vector_UD /= np.linalg.norm(vector_UD, axis=1, keepdims=True)
    prompt_C = np.repeat(np.arange(prompts), 2 * pairs)
    values_CI = random.integers(0, 5, (len(prompt_C), 3)) / 4
    values_CI[:, 2][random.uniform(size=len(prompt_C)) < gaps] = np.nan
    weights_TI = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]]) if by_prompt else np.full((2, 3), 1 / 3)
    merit_C = (weights_TI[topic_U[prompt_C]] * np.nan_to_num(values_CI, nan=0.5)).sum(1)
    first_P = np.arange(0, len(prompt_C), 2)
    better_P = random.uniform(size=len(first_P)) < 1 / (1 + np.exp(-12 * (merit_C[first_P] - merit_C[first_P + 1])))
    return Paired(
        shares=counted_shares(RUBRIC, "items"),
        values_CI=values_CI,
        scores_C=np.nanmean(values_CI, axis=1),
        verbosity_C=random.normal(0, 0.3, len(prompt_C)),
        debias_I=np.array([0.0, 0.1, 0.05]),
        verbosity=Verbosity(mean=5.0, span=2.0),
        vector_UD=vector_UD,
        prompt_C=prompt_C,
        chosen_P=np.where(better_P, first_P, first_P + 1),
        rejected_P=np.where(better_P, first_P + 1, first_P),
        card_ids=tuple(f"c{number}" for number in range(len(prompt_C))),
        pairs_left_out={},
    )


@pytest.mark.parametrize(("hidden", "constant"), [(3, False), (0, False), (3, True)])
def test_gradient(hidden, constant):
    from scipy.optimize import check_grad

    gate = Gate(preferences(12, 2, gaps=0.3), hidden=hidden, constant=constant)
    posterior = gate.posterior(np.arange(20), 0.7)
    size = sum(rows * columns + rows for rows, columns in posterior.shapes) + 1
    start = np.random.default_rng(1).normal(size=size)
    assert check_grad(lambda x: posterior(x)[0], lambda x: posterior(x)[1], start) < 1e-4


def test_weights_that_depend_on_the_prompt_are_found():
    data = preferences()
    fit = fit_gating(data, CARDS, subject(RUBRIC), ENCODER)
    lines = {line.name: line.figures for line in fit.lines}
    gate, constant = lines["learned gate"], lines["one set of weights for every prompt"]
    assert gate["accuracy"] > constant["accuracy"] + 0.05
    assert gate["log loss"] < constant["log loss"] - 0.05
    assert lines["the longer reply"]["log loss"] is None
    assert fit.inputs["warm"]["95 %"] > 0.5 > 0.3 > fit.inputs["warm"]["5 %"]
    assert not fit.remarks
    assert fit.artifact.made.counts == {"cards": 360, "pairs": 180, "prompts": 60}


def test_without_such_a_dependence_the_weights_hardly_move():
    fit = fit_gating(preferences(by_prompt=False), CARDS, subject(RUBRIC), ENCODER)
    spreads = [columns["95 %"] - columns["5 %"] for columns in fit.inputs.values()]
    assert max(spreads) < 0.25
    assert fit.artifact.made.settings["strength"] >= 8.0


def test_few_pairs_stay_with_the_rubrics_weights():
    fit = fit_gating(preferences(10, 1), CARDS, subject(RUBRIC), ENCODER)
    assert all(0.1 < columns["weight"] < 0.6 for columns in fit.inputs.values())


@pytest.mark.parametrize("hidden", [0, 4])
def test_what_was_fitted_is_what_scores(hidden):
    data = preferences(30, gaps=0.3)
    fit = fit_gating(data, CARDS, subject(RUBRIC), ENCODER, hidden=hidden)
    gate = Gate(data, hidden=hidden)
    fitted = gate.fit(np.arange(len(data.chosen_P)), fit.artifact.made.settings["strength"])
    odds_P = gate.odds(fitted, np.arange(10)) / fitted.sharpness

    def score(card):
        values = {key: value for key, value in zip(data.shares, data.values_CI[card], strict=True) if value == value}
        characters = np.expm1(data.verbosity_C[card] * 2.0 + 5.0)
        return gating_score(fit.artifact, values, data.vector_UD[data.prompt_C[card]].tolist(), characters)

    for pair in range(10):
        scores = score(data.chosen_P[pair]), score(data.rejected_P[pair])
        if all(0 < one < 1 for one in scores):
            assert scores[0] - scores[1] == pytest.approx(odds_P[pair], abs=1e-4)


def test_the_same_again():
    one, two = (fit_gating(preferences(20), CARDS, subject(RUBRIC), ENCODER, seed=2).artifact for _ in range(2))
    assert one == two


# --- what is joined --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> EncoderId:
    pytest.importorskip("torch", reason="an encoder needs kardia[local]")
    pytest.importorskip("transformers", reason="an encoder needs kardia[local]")
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


def written(count=12):
    """Two replies to each prompt, the longer one chosen."""
    cards = Cards("scores.jsonl", judge=dict(JUDGE))
    texts = {}
    for number in range(count):
        for side, length in (("a", 200 + number), ("b", 50 + number)):
            key = f"{side}{number}"
            judgments = {one.id: at(one, one.levels[(number + length) % 5]) for one in RUBRIC.criteria}
            cards.by_id[key] = Card(key, f"id {key}", len(cards.by_id) + 1, judgments, False)
            texts[key] = Text(f"my dog died {'again ' * (number // 2)}", length)
    return cards, texts, [Pair(f"a{number}", f"b{number}", number + 2) for number in range(count)]


def joined(cards, texts, pairs, encoder):
    return paired(cards, pairs, texts, counted_shares(RUBRIC, "items"), subject(RUBRIC), encoder, Path("pairs.csv"))


def test_pairs_and_cards_are_joined(encoder):
    cards, texts, pairs = written()
    data = joined(cards, texts, pairs, encoder)
    assert data.vector_UD.shape == (6, 16)
    assert data.prompt_P.tolist() == [number // 2 for number in range(12)]
    assert (data.verbosity_C[data.chosen_P] > data.verbosity_C[data.rejected_P]).all()
    assert [data.card_ids[one] for one in data.chosen_P] == [pair.chosen for pair in pairs]


def test_pairs_that_cannot_be_fitted_are_left_out(encoder):
    cards, texts, pairs = written()
    broken = {**cards.by_id["a0"].judgments, "warm": without(RUBRIC.by_id["warm"])}
    cards.by_id["a0"] = Card("a0", "id a0", 1, broken, False)
    del cards.by_id["b1"]
    data = joined(cards, texts, pairs, encoder)
    assert data.pairs_left_out == {"a reply has no scorecard": 1, "a reply's scorecard cannot be fitted": 1}
    assert len(data.chosen_P) == 10
    with pytest.raises(InputError, match="only 9 pairs can be fitted; at least 10 are needed; in 1, a reply has no"):
        joined(cards, texts, pairs[:-1], encoder)


def test_replies_to_different_prompts_are_not_compared(encoder):
    cards, texts, pairs = written()
    texts["a3"] = Text("something else", 100)
    with pytest.raises(InputError, match="compares replies to different prompts") as problem:
        joined(cards, texts, pairs, encoder)
    assert (problem.value.file, problem.value.line) == ("pairs.csv", 5)


def test_all_pairs_of_one_prompt(encoder):
    cards, texts, pairs = written()
    texts = {key: Text("my dog died", text.characters) for key, text in texts.items()}
    data = joined(cards, texts, pairs, encoder)
    with pytest.raises(InputError, match="belongs to one group"):
        fit_gating(data, cards, subject(RUBRIC), encoder)


def test_texts_are_taken_as_scoring_takes_them(conversation):
    assert text_of(conversation, RUBRIC) == Text("My dog died this morning.", len("I'm so sorry. He was family."))
