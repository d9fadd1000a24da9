"""`kardia pairs`, from scored conversations to a trainer's rows."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import tiny

from .command import CLEAR, DEMEANS, PLAIN, WARM, kardia, read_cards, write_rows
from .test_help import HEAVY, imported, through_main

RUBRIC = PLAIN + WARM + CLEAR + DEMEANS
TOPICS = ("I failed an exam.", "My dog died.", "אני עצובה 🥀")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 replies to 3 prompts, scored by the fake judge, whose levels are by chance and always the same."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "plain.yaml").write_text(RUBRIC)
    rows = [
        {
            "id": f"r{number}",
            "context": TOPICS[number % 3],
            "response": f"<think>thought {number}</think>I hear you, {number}." + " Go on." * (number % 4),
        }
        for number in range(24)
    ]
    write_rows(folder / "talks.jsonl", rows)
    for form in ("jsonl", "parquet") if _has("pyarrow") else ("jsonl",):
        done = kardia(
            *("score", "talks.jsonl", "-r", "plain.yaml", "-j", "fake", "-o", f"scores.{form}", "--format", form),
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
    return folder


def _has(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def run(place: Path, *arguments: object):
    return kardia("pairs", "scores.jsonl", "--data", "talks.jsonl", *arguments, cwd=place)


def figures(stderr: str) -> dict[str, str]:
    return {name.strip(): value for name, _, value in (line.rstrip().rpartition("  ") for line in stderr.splitlines())}


def expected(place: Path, margin: float = 0.1) -> list[tuple[str, str]]:
    """The best and the worst of each group, from the scorecards themselves."""
    cards = read_cards((place / "scores.jsonl").read_text())
    found = []
    for which in range(3):
        group = [card for number, card in enumerate(cards) if number % 3 == which]
        ranked = sorted(group, key=lambda card: (bool(card["vetoed_by"]), -card["score"], card["id"]))
        if not ranked[0]["vetoed_by"] and ranked[0]["score"] - ranked[-1]["score"] >= margin:
            found.append((ranked[0]["id"], ranked[-1]["id"]))
    return found


def test_from_scores_to_pairs(place):
    done = run(place, "-o", "pairs.jsonl")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    rows = read_cards((place / "pairs.jsonl").read_text("utf-8"))
    assert [(row["chosen_id"], row["rejected_id"]) for row in rows] == expected(place)
    assert len(rows) >= 2
    texts = {row["id"]: row for row in read_cards((place / "talks.jsonl").read_text("utf-8"))}
    scores = {card["id"]: card for card in read_cards((place / "scores.jsonl").read_text("utf-8"))}
    for row in rows:
        chosen, rejected = texts[row["chosen_id"]], texts[row["rejected_id"]]
        assert row["prompt"] == [{"role": "user", "content": chosen["context"]}]
        assert chosen["context"] == rejected["context"]
        assert row["chosen"] == [{"role": "assistant", "content": chosen["response"]}]
        assert row["rejected"] == [{"role": "assistant", "content": rejected["response"]}]
        assert row["score_chosen"] == scores[chosen["id"]]["score"]
        assert row["score_rejected"] == scores[rejected["id"]]["score"]
        assert row["margin"] == pytest.approx(row["score_chosen"] - row["score_rejected"], abs=1e-9)
        assert (row["rubric"], row["judge"], row["group"]) == ("plain@1.0.0", "fake", None)
        assert row["rubric_hash"] == scores[chosen["id"]]["provenance"]["rubric"]["hash"]
        assert row["judge_hash"] == scores[chosen["id"]]["provenance"]["judge"]["hash"]
    assert stat.S_IMODE((place / "pairs.jsonl").stat().st_mode) == 0o600
    assert not (place / "pairs.jsonl.partial").exists()
    told = figures(done.stderr)
    assert done.stderr.startswith("pairs · plain@1.0.0 · judge fake\n")
    assert (told["groups"], told["replies"], told["pairs"]) == ("3", "24", str(len(rows)))
    vetoed = sum(bool(card["vetoed_by"]) for card in scores.values())
    assert told["replies vetoed, never chosen"] == str(vetoed)
    assert vetoed
    assert told["replies left out: unscored"] == told["pairs left out: ties"] == "0"
    assert told["mean margin"] == f"{sum(row['margin'] for row in rows) / len(rows):.3f}"
    lengths = [len(row["chosen"][0]["content"]) for row in rows]
    assert told["mean length of chosen, characters"] == f"{sum(lengths) / len(rows):.1f}"


def test_the_order_of_the_scorecards_does_not_matter(place, tmp_path):
    lines = (place / "scores.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "mixed.jsonl").write_text("".join(lines[::-1]))
    outs = [
        kardia("pairs", scores, "--data", place / "talks.jsonl", "--strategy", "all", cwd=tmp_path).stdout
        for scores in (place / "scores.jsonl", "mixed.jsonl")
    ]
    assert outs[0] == outs[1]
    assert len(outs[0].splitlines()) > 10


def test_options_reach_the_rules(place):
    every = read_cards(run(place, "--strategy", "all", "--margin", "0.3").stdout)
    assert min(row["margin"] for row in every) >= 0.3
    done = run(place, *("--strategy", "all", "--margin", "0.3", "--max-per-group", "2", "--max-length-ratio", "1.2"))
    rows = read_cards(done.stdout)
    prompts = [row["prompt"][0]["content"] for row in rows]
    assert max(prompts.count(prompt) for prompt in prompts) == 2
    for row in rows:
        assert len(row["chosen"][0]["content"]) <= 1.2 * len(row["rejected"][0]["content"])
    told = figures(done.stderr)
    assert int(told["pairs left out: chosen too much longer"]) > 0
    assert int(told["pairs left out: beyond --max-per-group"]) > 0
    vetoed = {card["id"] for card in read_cards((place / "scores.jsonl").read_text()) if card["vetoed_by"]}
    assert {row["rejected_id"] for row in every} & vetoed
    dropped = run(place, "--strategy", "all", "--vetoed", "drop")
    assert not {row["rejected_id"] for row in read_cards(dropped.stdout)} & vetoed
    assert figures(dropped.stderr)["replies left out: vetoed"] == str(len(vetoed))
    (row, *_) = read_cards(run(place, "--keep", "reply").stdout)
    assert row["chosen"][0]["content"].startswith("I hear you")


def test_the_best_of_n(place):
    done = run(place, "--best", "--n", "4", "-o", "best.jsonl")
    assert done.returncode == 0, done.stderr
    rows = read_cards((place / "best.jsonl").read_text("utf-8"))
    cards = read_cards((place / "scores.jsonl").read_text())
    for row in rows:
        which = int(row["id"][1:]) % 3
        group = [card for card in cards[which::3][:4] if not card["vetoed_by"]]
        assert row["score"] == max(card["score"] for card in group)
        assert row["prompt"] == [{"role": "user", "content": TOPICS[which]}]
        assert row["completion"][0]["content"].startswith("<think>thought ")
    told = figures(done.stderr)
    assert (told["groups"], told["best replies"]) == ("3", str(len(rows)))
    firsts = [cards[int(row["id"][1:]) % 3]["score"] for row in rows]
    assert told["mean score of their best"] == f"{sum(row['score'] for row in rows) / len(rows):.3f}"
    assert told["mean score of their first"] == f"{sum(firsts) / len(rows):.3f}"
    one = run(place, "--best", "--n", "1")
    vetoed = [card["id"] for card in cards[:3] if card["vetoed_by"]]
    assert figures(one.stderr)["groups without one"] == str(len(vetoed))
    assert all(f"that of {key}" in one.stderr for key in vetoed)
    few = run(place, "--best", "--n", "9")
    assert figures(few.stderr)["groups of fewer than 9 replies"] == "3"


def test_nothing_comes_out(place):
    (place / "kept.jsonl").write_text("earlier\n")
    done = run(place, "--margin", "1", "-o", "kept.jsonl")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no pair came out, and nothing is written" in done.stderr
    assert (place / "kept.jsonl").read_text() == "earlier\n"
    rows = [{**card, "status": "unscored", "score": None} for card in read_cards((place / "scores.jsonl").read_text())]
    write_rows(place / "unscored.jsonl", rows)
    for more in ([], ["--best"]):
        done = kardia("pairs", "unscored.jsonl", "--data", "talks.jsonl", "-o", "new.jsonl", *more, cwd=place)
        assert done.returncode == 1
        assert not (place / "new.jsonl").exists()
    assert "there is no best reply, and nothing is written" in done.stderr


def test_partial_scores_count_where_they_are_asked_for(place):
    rows = [{**card, "status": "partial"} for card in read_cards((place / "scores.jsonl").read_text())]
    write_rows(place / "partial.jsonl", rows)
    done = kardia("pairs", "partial.jsonl", "--data", "talks.jsonl", cwd=place)
    assert done.returncode == 1
    assert figures(done.stderr)["replies left out: partial (--partial takes them)"] == "24"
    done = kardia("pairs", "partial.jsonl", "--data", "talks.jsonl", "--partial", cwd=place)
    assert [(row["chosen_id"], row["rejected_id"]) for row in read_cards(done.stdout)] == expected(place)


def test_what_is_left_out_before_anything_is_paired(place, tmp_path):
    """A bad row, one that was not scored, one that answers nothing, a group of two prompts; and what the guard said."""
    rows = read_cards((place / "talks.jsonl").read_text("utf-8"))
    for row in rows:
        row["group"] = "one"
    rows[0]["context"] = ""
    write_rows(tmp_path / "talks.jsonl", [*rows, {"id": "bad"}, {"id": "new", "context": "a", "response": "b"}])
    cards = read_cards((place / "scores.jsonl").read_text("utf-8"))
    for card in cards:
        card["guard"] = {"mode": "flag", "findings": [{"kind": "made up"}]}
        card["group"] = "one"
    cards[0]["target"]["message"] = 0
    write_rows(tmp_path / "scores.jsonl", cards)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (
        "1 bad rows of talks.jsonl are left out",
        "1 conversations have no scorecard, and are left out",
        "1 replies answer nothing, and are left out: a pair needs a prompt",
        "1 groups hold replies to different prompts; each prompt is a group of its own",
        "the guard flagged the chosen reply of ",
    ):
        assert words in done.stderr
    assert {row["group"] for row in read_cards(done.stdout)} == {"one"}
    assert "of the best replies: look at them" in run(tmp_path, "--best").stderr


@pytest.mark.skipif(not _has("pyarrow"), reason="Parquet needs kardia[parquet]")
@pytest.mark.parametrize("more", [(), ("--best",)], ids=["pairs", "best"])
def test_parquet_says_the_same(place, more):
    import pyarrow.parquet as pq

    lines = run(place, *more).stdout
    done = kardia(
        *("pairs", "scores.parquet", "--data", "talks.jsonl", *more, "-o", "out.parquet", "--format", "parquet"),
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((place / "out.parquet").stat().st_mode) == 0o600
    assert pq.read_table(place / "out.parquet").to_pylist() == read_cards(lines)
    assert run(place, *more, "--format", "parquet").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--best", "--strategy", "all"), "--strategy: is about pairs: leave it out, or leave --best out"),
        (("--best", "--vetoed", "keep"), "--vetoed: is about pairs"),
        (("--n", "4"), "--n: goes with --best"),
        (("--rubric", "safety"), "scores.jsonl: holds no scorecard of safety; it holds those of plain@1.0.0"),
        (("--data", "few.jsonl"), "scores.jsonl:2: id: the conversation 'r1' is not in few.jsonl"),
        (("--data", "other.jsonl"), "scores.jsonl:1: target: is not what 'r0' says in other.jsonl"),
        (("--data", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("--map", "reply=answer"), "talks.jsonl: none of its 24 rows can be used"),
        (("-o", "talks.jsonl"), "talks.jsonl: would overwrite the input talks.jsonl; name another file"),
        (("-o", "./scores.jsonl"), "./scores.jsonl: would overwrite the input scores.jsonl"),
        (("-o", "nowhere/out.jsonl"), "nowhere/out.jsonl: there is no folder 'nowhere'"),
        (("-o", "."), ".: is a directory; name a file"),
        (("-o", "/dev/null"), "/dev/null: is not a file; for standard output leave -o out"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_wrong(place, arguments, words):
    rows = (place / "talks.jsonl").read_text().splitlines(keepends=True)
    (place / "few.jsonl").write_text(rows[0])
    (place / "other.jsonl").write_text("".join(rows).replace("I hear you", "I see you"))
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    done = run(place, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_standard_input_holds_one_of_the_two(place):
    cards, talks = ((place / name).read_text("utf-8") for name in ("scores.jsonl", "talks.jsonl"))
    both = kardia("pairs", "-", "--data", "-", cwd=place, stdin=cards)
    assert both.returncode == 2
    assert "stdin cannot hold both" in both.stderr
    usual = run(place).stdout
    assert kardia("pairs", "-", "--data", "talks.jsonl", cwd=place, stdin=cards).stdout == usual
    assert kardia("pairs", "scores.jsonl", "--data", "-", cwd=place, stdin=talks).stdout == usual


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk(place):
    import subprocess

    from .command import KARDIA, surroundings

    with open("/dev/full", "w") as full:
        command = [*KARDIA, "pairs", "scores.jsonl", "--data", "talks.jsonl", "--strategy", "all"]
        done = subprocess.run(
            command, cwd=place, stdout=full, stderr=subprocess.PIPE, text=True, env=surroundings(), timeout=60
        )
    assert done.returncode == 2
    assert "standard output: cannot be written: No space left on device" in done.stderr


def test_help_with_an_example(tmp_path):
    done = kardia("pairs", "--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "Example:  kardia pairs scores.jsonl --data conversations.jsonl -o pairs.jsonl" in done.stdout
    assert imported(through_main("pairs", "--help"), tmp_path).isdisjoint(HEAVY)


@pytest.mark.filterwarnings("ignore")  # of TRL and whatever it calls: theirs to mend
def test_what_trl_makes_of_it(place, tmp_path, one_thread):
    """The rows go through `datasets` into DPOTrainer and SFTTrainer, as they are; both train a step on them."""
    for needed in ("torch", "transformers", "datasets"):
        pytest.importorskip(needed, reason="training needs kardia[local,datasets]")
    trl = pytest.importorskip("trl", reason="TRL is not installed")
    from datasets import load_dataset
    from trl.data_utils import is_conversational

    assert run(place, "-o", "dpo.jsonl").returncode == 0
    assert run(place, "--best", "-o", "sft.jsonl").returncode == 0
    policy = tiny.qwen(tmp_path / "policy", with_head=True)
    usual: dict[str, Any] = {
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_steps": 1,
    }
    for name, config, kind in (
        ("dpo", trl.DPOConfig, trl.DPOTrainer),
        ("sft", trl.SFTConfig, trl.SFTTrainer),
    ):
        data = load_dataset("json", data_files=str(place / f"{name}.jsonl"), cache_dir=str(tmp_path / "cache"))["train"]
        assert is_conversational(data[0])
        trainer = kind(model=str(policy), args=config(output_dir=str(tmp_path / name), **usual), train_dataset=data)
        read = trainer.processing_class.decode
        row, made = json.loads((place / f"{name}.jsonl").read_text("utf-8").splitlines()[0]), trainer.train_dataset[0]
        asked = f"<|im_start|>user\n{row['prompt'][0]['content']}<|im_end|>\n<|im_start|>assistant\n"
        if name == "dpo":
            assert read(made["prompt_ids"]) == asked
            for side in ("chosen", "rejected"):
                assert read(made[f"{side}_ids"]) == row[side][0]["content"] + "<|im_end|>\n"
        else:
            learnt = [token for token in made["labels"] if token != -100]
            assert read(made["input_ids"]) == asked + row["completion"][0]["content"] + "<|im_end|>\n"
            assert read(learnt) == row["completion"][0]["content"] + "<|im_end|>\n"
        trainer.train()
        assert trainer.state.global_step == 1
