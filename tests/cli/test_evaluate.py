"""`kardia evaluate`: tables, exit codes, what stays when it is killed, and what it says beforehand."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from server import ScriptedServer, completion, says, status

pytest.importorskip("numpy")

from .command import KARDIA, kardia, surroundings, write_rows
from .test_help import HEAVY, imported, through_main

ROWS: list[dict[str, Any]] = [
    {"id": f"r{number}", "context": f"It is day {number}.", "response": f"I hear you, {number}.", "emotion": "sad"}
    for number in range(6)
]


@pytest.fixture
def place(tmp_path) -> Path:
    write_rows(tmp_path / "held-out.jsonl", ROWS)
    return tmp_path


def served(server: ScriptedServer, place: Path, **more: Any) -> str:
    data = {
        "name": "served",
        "backend": "http",
        "model": "writer",
        "base_url": server.url,
        **more,
        "limits": {"timeout_s": 5, **more.get("limits", {})},
    }
    (place / "served.yaml").write_text(json.dumps(data))
    return "served.yaml"


def run(place: Path, *policies: object, **more: Any):
    options = {"data": "held-out.jsonl", "rubric": "kardia-r1", "judge": "fake", **more}
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    return kardia("evaluate", *policies, *words, cwd=place)


def test_help_with_an_example_and_nothing_heavy(place):
    done = kardia("evaluate", "--help", cwd=place, COLUMNS="200")
    assert done.returncode == 0
    assert "Example:  kardia evaluate " in done.stdout
    assert imported(through_main("evaluate", "--help"), place).isdisjoint(HEAVY)


def test_a_table_of_two_policies(place):
    with ScriptedServer(always=says("That hurts.")) as server:
        done = run(place, "reference", "ours=" + served(server, place))
        assert len(server.asked) == 6
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("|  | reference | ours |\n")
    for name in ("emotion accuracy", "relevance", "persona consistency", "score", "unscored", "format", "distinct-2"):
        assert sum(line.startswith(f"| {name} |") for line in done.stdout.splitlines()) == 2
    assert "no emotion can be read from reference, ours" in done.stderr
    assert "6 replies written, 0 kept ones found" in done.stderr
    out = place / "evaluation"
    assert (out / "table.md").read_text("utf-8") == done.stdout
    assert len((out / "generations" / "ours.jsonl").read_text("utf-8").splitlines()) == 6
    assert len((out / "scores" / "ours.fake.jsonl").read_text("utf-8").splitlines()) == 6
    # with another rubric nothing is written anew: the server is gone
    again = run(place, "reference", "ours=served.yaml", rubric="safety")
    assert again.returncode == 0, again.stderr
    assert "0 replies written, 6 kept ones found" in again.stderr


def test_json_and_latex(place):
    done = run(place, "reference", json="--fresh")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data == json.loads((place / "evaluation" / "report.json").read_text("utf-8"))
    assert data["judges"][0]["name"] == "fake"
    assert data["policies"][0]["means"]["length"] == {"mean": 4.0, "low": 4.0, "high": 4.0, "n": 6}
    latex = kardia(
        *("evaluate", "reference", "--data", "held-out.jsonl", "-r", "safety", "-j", "fake", "--latex"), cwd=place
    )
    assert latex.returncode == 0
    assert latex.stdout == (place / "evaluation" / "table.tex").read_text("utf-8")
    both = kardia(
        *("evaluate", "reference", "--data", "held-out.jsonl", "-r", "safety", "--latex", "--json"), cwd=place
    )
    assert (both.returncode, both.stderr) == (2, "kardia: --latex: goes without --json: one table is printed\n")


def test_a_dry_run_says_what_would_go_where(place):
    with ScriptedServer() as server:
        price = {"input_per_million": 10.0, "output_per_million": 10.0}
        policy = served(server, place, price=price)
        done = kardia(
            *("evaluate", "reference", policy, "--data", "held-out.jsonl", "-r", "kardia-r1", "-j", "openai"),
            *("--max-tokens", "100", "--dry-run"),
            cwd=place,
        )
        assert server.asked == []
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        said = done.stderr.splitlines()
        assert said[0] == "kardia: reference: 6 replies are there already"
        assert said[1].startswith("kardia: served: 6 replies to write, about ")
        assert (
            f"at most 600 out, at most 0.0062 by the profile's prices; the prompts would go to 127.0.0.1:{server.port}"
            in (said[1])
        )
        assert said[2].startswith("kardia: judge openai: 60 requests, about ")
        assert said[2].endswith("the texts would go to api.openai.com")
        assert said[3] == "kardia: nothing was written, nothing was sent"
    assert not (place / "evaluation").exists()
    told = run(place, "reference", json="--dry-run")
    assert json.loads(told.stdout)["judges"][0]["requests"] == 30


def test_exit_codes(place):
    with ScriptedServer(always=says("Yes.")) as server:
        server.then(status(400, "too rude"))
        done = run(place, served(server, place), output="one")
        assert done.returncode == 1
        assert "the first unscored one: served, r" in done.stderr
        assert "of 6 replies 1 could not be had" in done.stdout
    missing = run(place, served(server, place, limits={"retries": 0, "timeout_s": 1}), output="two")
    assert missing.returncode == 3
    assert "does not answer" in missing.stderr
    assert not (place / "two" / "table.md").exists()
    for policies, options, complaint in (
        (["nobody"], {}, "kardia: nobody: is no policy"),
        (["reference"], {"system": "nowhere.txt"}, "kardia: --system: there is no text file nowhere.txt"),
        (["vllm"], {"samples": 2}, "kardia: --samples: at a temperature of 0"),
    ):
        done = run(place, *policies, **options)
        assert done.returncode == 2, done.stderr
        assert complaint in done.stderr
        assert len(done.stderr.splitlines()) == 1


def slow(seconds: float):
    async def behave(_, __):
        import asyncio

        from aiohttp import web

        await asyncio.sleep(seconds)
        return web.json_response(completion("That hurts."))

    return behave


def started(place: Path, policy: str) -> subprocess.Popen[str]:
    """`kardia evaluate` under way, once it has kept two replies."""
    process = subprocess.Popen(
        [*KARDIA, "evaluate", policy, "--data", "held-out.jsonl", "-r", "safety", "-j", "fake"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings(),
    )
    kept = place / "evaluation" / "generations" / "served.jsonl"
    until = time.monotonic() + 60
    while not kept.exists() or kept.read_bytes().count(b"\n") < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_a_run_that_ends_early_goes_on(place, how):
    """A kill loses at most what was under way; Ctrl-C loses nothing."""
    with ScriptedServer(always=slow(0.3)) as server:
        policy = served(server, place, limits={"concurrency": 1})
        process = started(place, policy)
        process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == (-signal.SIGKILL if how == "kill" else 130)
        if how == "interrupt":
            assert "stopping: what is under way is finished, and kept" in said
            assert "Traceback" not in said
        kept = (place / "evaluation" / "generations" / "served.jsonl").read_bytes().count(b"\n")
        assert 2 <= kept < 6
        server.always = says("That hurts.")
        done = run(place, policy, rubric="safety")
        assert done.returncode == 0, done.stderr
        assert f"{6 - kept} replies written, {kept} kept ones found" in done.stderr
        assert len(server.asked) <= 6 + (how == "kill")


def test_a_model_and_its_adapter(place, one_thread):
    """Real weights from the command line: a folder, an adapter, a second judge, the spans asked for."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    import warnings

    from judge.local.tiny import saved
    from transformers import AutoModelForCausalLM

    saved(place / "base")
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        peft.get_peft_model(AutoModelForCausalLM.from_pretrained(place / "base"), config).save_pretrained(
            place / "tuned"
        )
    (place / "other.yaml").write_text("{name: other, backend: fake, extra_body: {another: one}}")
    options: dict[str, Any] = {"system": "auto", "max-tokens": 8, "batch-size": 4, "device": "cpu"}
    done = run(place, "base", "tuned", "reference", **options, **{"second-judge": "other.yaml"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("|  | base | tuned | reference |\n")
    report = json.loads((place / "evaluation" / "report.json").read_text("utf-8"))
    assert [judge["name"] for judge in report["judges"]] == ["fake", "other"]
    base, tuned, reference = report["policies"]
    assert base["digest"] != tuned["digest"]
    # asked for, and nothing like it written: wrong. The people in the data were not asked
    assert base["means"]["emotion"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 6}
    assert reference["means"]["emotion"]["mean"] is None
    assert "understanding" in report["system"]
    kept = [(place / "evaluation" / "generations" / f"{name}.jsonl").read_text() for name in ("base", "tuned")]
    replies = [[json.loads(line)["reply"] for line in text.splitlines()] for text in kept]
    assert len(replies[0]) == len(replies[1]) == 6
    assert replies[0] != replies[1]
    # by another rubric no model is loaded
    again = through_main(
        *("evaluate", "base", "tuned", "--data", "held-out.jsonl", "-r", "safety", "-j", "fake"),
        *("--system", "auto", "--max-tokens", "8", "--device", "cpu"),
    )
    assert imported(again, place).isdisjoint({"torch", "transformers", "peft"})


RECIPE = """\
name: mine
model: {name_or_path: nobody/nothing}
data: {system: "Be brief. {format}", tags: angle, tell: [profile], spans: [emotion, response]}
reward: {spec: kardia-r1}
grpo: {steps: 1}
"""


def test_policies_are_asked_as_a_recipe_asks_them(place):
    write_rows(place / "held-out.jsonl", [{**row, "profile": f"Nurse {row['id']}."} for row in ROWS])
    (place / "mine.yaml").write_text(RECIPE)
    with ScriptedServer(always=says("<emotion>sad</emotion><response>Oh.</response>")) as server:
        done = run(place, served(server, place), recipe="mine.yaml", rubric="safety")
        asked = [asked.body["messages"] for asked in server.asked]
    assert done.returncode == 0, done.stderr
    for system, user in asked:
        assert system["content"].startswith("Be brief. Write your answer in these parts:\n\n<emotion>")
        assert f"Nurse r{user['content'][-2]}." in system["content"]
    means = json.loads((place / "evaluation" / "report.json").read_text())["policies"][0]["means"]
    assert (means["format"]["mean"], means["emotion"]["mean"], means["length"]["mean"]) == (1.0, 1.0, 1.0)
    plain = run(place, "served.yaml", recipe="mine.yaml", rubric="safety", system="none", **{"dry-run": "--json"})
    assert json.loads(plain.stdout)["policies"][0] | {"destination": ""} == {
        "name": "served",
        "replies": 6,
        "kept": 0,
        "input_tokens": sum(len("Who they are:\nNurse r0." + row["context"]) for row in ROWS) // 4,
        "output_tokens": 6 * 512,
        "cost": None,
        "destination": "",
    }
