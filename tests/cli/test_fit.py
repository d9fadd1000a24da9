"""`kardia fit`: from scorecards and what people said to a rubric that scores as they would."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
from pathlib import Path

import pytest
from learning import tiny_encoder

from .command import CLEAR, WARM, kardia, read_cards, write_rows

pytest.importorskip("numpy", reason="fitting needs kardia[local]")
pytest.importorskip("scipy", reason="fitting needs kardia[local]")

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "tokenizers"))

CALM = """\
name: calm
version: 1.0.0-draft.1
title: Calm
criteria:
"""
BLAMES = """\
  - id: blames
    question: Does the reply blame the person?
    scale: {type: binary}
    good: no
"""
RUBRIC = CALM + WARM + CLEAR + BLAMES
TOPICS = ("I failed an exam.", "My dog died.", "I am alone today.", "I am sad again.")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 replies to 12 prompts, scored by the fake judge; people like what is warm and do not mind the rest."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "calm.yaml").write_text(RUBRIC)
    rows = [
        {"id": f"r{n}", "context": f"{TOPICS[n // 4 % 4]} {n // 4}", "response": f"I hear you, {n}. " * (1 + n % 5)}
        for n in range(48)
    ]
    write_rows(folder / "talks.jsonl", [{**row, "group": row["context"]} for row in rows])
    done = kardia("score", "talks.jsonl", "-r", "calm.yaml", "-j", "fake", "-o", "scores.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    cards = read_cards((folder / "scores.jsonl").read_text())
    noise = random.Random(0)
    lines, pairs = ["id,overall,who"], ["chosen,rejected"]
    liked = {}
    for card in cards:
        warm = card["criteria"]["warm"]["value"]
        liked[card["id"]] = warm + noise.gauss(0, 0.1)
        for who, severity in (("ann", -0.5), ("bob", 0.5)):
            rating = round(min(5, max(1, 1.5 + 3 * warm + severity + noise.gauss(0, 0.3))))
            lines.append(f"{card['id']},{rating},{who}")
    for first in range(0, 48, 4):
        for one, two in ((0, 1), (2, 3), (1, 2)):
            better, worse = sorted((f"r{first + one}", f"r{first + two}"), key=lambda key: -liked[key])
            pairs.append(f"{better},{worse}")
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    (folder / "pairs.csv").write_text("\n".join(pairs) + "\n")
    return folder


RATINGS = (
    "--ratings",
    "ratings.csv",
    "--overall",
    "overall",
    "--annotator",
    "who",
    "--range",
    "1:5",
    "-r",
    "calm.yaml",
)


def fit(place: Path, *arguments: object):
    return kardia("fit", *arguments, cwd=place)


def paste(place: Path, yaml: str, name: str) -> Path:
    path = place / name
    path.write_text(RUBRIC.replace("1.0.0-draft.1", "1.1.0-draft.1") + yaml)
    return path


def test_weights_and_scoring_with_them(place):
    done = fit(place, "weights", "scores.jsonl", *RATINGS, "-o", "weights.json")
    assert (done.returncode, done.stderr) == (0, "")
    table, _, yaml = done.stdout.partition("aggregate:\n")
    for words in ("96 ratings by 2 people of 48 replies", "learned (linear)", "the rubric as it is", "warm"):
        assert words in table
    digest = hashlib.sha256((place / "weights.json").read_bytes()).hexdigest()
    assert yaml == f"  method: learned\n  artifact: weights.json\n  sha256: {digest}\n"
    artifact = json.loads((place / "weights.json").read_text())
    weights = {one["id"]: one["weight"] for one in artifact["inputs"]}
    assert weights["warm"] > 4 * max(weights["clear"], weights["blames"])
    paste(place, "aggregate:\n" + yaml, "learned.yaml")
    scored = kardia("score", "talks.jsonl", "-r", "learned.yaml", "-j", "fake", "-o", "-", cwd=place)
    assert scored.returncode == 0, scored.stderr
    for card in read_cards(scored.stdout):
        values = {key: one["value"] for key, one in card["criteria"].items()}
        expected = artifact["intercept"] + sum(weights[key] * value for key, value in values.items())
        assert card["score"] == pytest.approx(min(1, max(0, expected)), abs=2e-6)
        assert card["provenance"]["rubric"]["learned"] == {"calm": f"sha256:{digest}"}
    shown = kardia("rubric", "show", "learned.yaml", cwd=place).stdout
    assert "was learned from people (linear; 48 cards, 96 ratings, 2 annotators)" in shown


def test_ordinal_as_json(place):
    done = fit(place, "weights", "scores.jsonl", *RATINGS, "-o", "ordinal.json", "--kind", "ordinal", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["kind"], report["artifact"]) == ("ordinal", "ordinal.json")
    assert report["sha256"] == hashlib.sha256((place / "ordinal.json").read_bytes()).hexdigest()
    learned, rubric = report["figures"]["learned (ordinal)"], report["figures"]["the rubric as it is"]
    assert learned["pearson"] > rubric["pearson"]
    assert report["made"]["judge"]["name"] == "fake"
    again = fit(place, "weights", "scores.jsonl", *RATINGS, "-o", "again.json", "--kind", "ordinal")
    assert again.returncode == 0
    assert (place / "again.json").read_bytes() == (place / "ordinal.json").read_bytes()


def test_calibration_and_scoring_with_it(place):
    done = fit(
        place, "calibration", "scores.jsonl", *RATINGS, "-o", "network.json", "--conversations", "talks.jsonl", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    figures = report["figures"]
    assert figures["network, knowing who rates"]["rmse"] < figures["network, the average annotator"]["rmse"]
    assert figures["network, the average annotator"]["pearson"] > 0.5
    paste(place, report["yaml"], "calibrated.yaml")
    scored = kardia("score", "talks.jsonl", "-r", "calibrated.yaml", "-j", "fake", cwd=place)
    assert scored.returncode == 0, scored.stderr
    cards = read_cards(scored.stdout)
    warm = [card["criteria"]["warm"]["value"] for card in cards]
    best, worst = (max(range(48), key=lambda n: sign * warm[n]) for sign in (1, -1))
    assert cards[best]["score"] > cards[worst]["score"] + 0.2


@pytest.mark.skipif(not HAS_TORCH, reason="an encoder needs kardia[local]")
def test_gating_and_scoring_with_it(place):
    encoder = tiny_encoder(place / "encoder")
    (place / "embeds.yaml").write_text(f"name: embeds\nbackend: embedded\nmodel: {encoder.model}\n")
    done = fit(
        place,
        *("gating", "scores.jsonl", "--pairs", "pairs.csv", "--conversations", "talks.jsonl", "-r", "calm.yaml"),
        *("--encoder", "embeds.yaml", "-o", "gate.json", "--json"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "kardia: embedding 12 prompts\n"
    report = json.loads(done.stdout)
    assert report["made"]["counts"] == {"cards": 48, "pairs": 36, "prompts": 12}
    assert report["figures"]["learned gate"]["accuracy"] > report["figures"]["the longer reply"]["accuracy"]
    assert report["inputs"]["warm"]["weight"] > report["inputs"]["blames"]["weight"]
    paste(place, report["yaml"], "gated.yaml")
    scored = kardia("score", "talks.jsonl", "-r", "gated.yaml", "-j", "fake", cwd=place)
    assert scored.returncode == 0, scored.stderr
    assert all(0 <= card["score"] <= 1 for card in read_cards(scored.stdout))


def test_what_is_left_out_is_said(place):
    lines = (place / "ratings.csv").read_text().splitlines()
    (place / "some.csv").write_text("\n".join([*lines[:61], "stranger,3,ann"]) + "\n")
    arguments = ["some.csv" if one == "ratings.csv" else one for one in RATINGS]
    done = fit(place, "weights", "scores.jsonl", *arguments, "-o", "some.json")
    assert done.returncode == 0
    assert "1 ratings are of conversations that have no scorecard, and are left out" in done.stderr
    assert "18 scorecards have no rating, and are left out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*RATINGS, "--range", "1:3"), "ratings.csv:"),
        ((*RATINGS, "--range", "5"), "'5' is no range"),
        ((*RATINGS, "--overall", "rating"), "holds no rating in a column 'rating'; there are: id, overall, who"),
        ((*RATINGS, "-r", "safety"), "scores.jsonl: holds no scorecard of safety"),
        ((*RATINGS, "-r", "changed.yaml"), "scores.jsonl:1: provenance.rubric.hash: was scored by calm@1.0.0-draft.1"),
        ((*RATINGS, "--conversations", "few.jsonl"), "the conversation 'r1' is not in few.jsonl"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(place, arguments, words):
    (place / "changed.yaml").write_text(RUBRIC.replace("How warm", "How kind"))
    (place / "few.jsonl").write_text((place / "talks.jsonl").read_text().splitlines()[0] + "\n")
    done = fit(place, "weights", "scores.jsonl", *arguments, "-o", "never.json")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (place / "never.json").exists()
