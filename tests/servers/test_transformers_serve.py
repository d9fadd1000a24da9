"""The http backend against a real OpenAI-compatible server that nobody here wrote: `transformers serve`.

It serves a Llama of a few thousand numbers whose weights are set by hand: where the judge's turn begins it says one
token, which is a whole verdict, and ends. So the answers are known, and everything between is real: HTTP, chat
template, tokenizer, generation.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "conversations.jsonl"
GOOD = json.dumps({"reason": "Warm and to the point.", "evidence": [], "level": 4})
BAD = "I would give it a four."

pytestmark = pytest.mark.servers
for module in ("torch", "transformers", "accelerate", "fastapi", "uvicorn"):
    pytest.importorskip(module)


def make_model(folder: Path, says: str) -> None:
    """A chat model that answers everything with `says`."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=letters, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<end>", "<turn>", "<judge>"])
    inner.add_tokens([AddedToken(says, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<end>")
    tokenizer.chat_template = (
        "{% for message in messages %}<turn>{{ message.role }}: {{ message.content }}{% endfor %}"
        "{% if add_generation_prompt %}<judge>{% endif %}"
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=65536,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    judge, answer, end = tokenizer.convert_tokens_to_ids(["<judge>", says, "<end>"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.fill_(1)
        # attention and MLP add nothing: what follows depends on the last token alone
        for last, following, place in ((judge, answer, 0), (answer, end, 1)):
            model.model.embed_tokens.weight[last, place] = 1
            model.lm_head.weight[following, place] = 10
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(
    scope="module", params=[pytest.param(GOOD, id="verdicts"), pytest.param(BAD, id="chatter", marks=pytest.mark.slow)]
)
def served(request, tmp_path_factory):
    """(what the model says, its address, its name)."""
    folder = tmp_path_factory.mktemp("model")
    make_model(folder, request.param)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [
        shutil.which("transformers", path=str(Path(sys.executable).parent)) or "transformers",
        "serve",
        str(folder),
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = folder / "serve.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield request.param, f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with opener.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def kardia(*arguments, cwd):
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return subprocess.run(
        [sys.executable, "-m", "kardia", *arguments],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.fixture
def judge(served, tmp_path):
    _, url, model = served
    path = tmp_path / "own.yaml"
    path.write_text(
        f"name: own\nbackend: http\nmodel: {model}\nbase_url: {url}\n"
        "sampling: {max_tokens: 64}\nlimits: {concurrency: 4, timeout_s: 120, reask: 1}\n"
    )
    return path


def test_the_examples_end_to_end(served, judge, tmp_path):
    says = served[0]
    rubric = ["--rubric", "kardia-r1"]
    done = kardia("score", str(EXAMPLES), *rubric, "--judge", str(judge), "-o", "out.jsonl", cwd=tmp_path)
    assert done.returncode == (0 if says == GOOD else 1), done.stderr
    cards = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    ids = [json.loads(line)["id"] for line in EXAMPLES.read_text("utf-8").splitlines()]
    assert [card["id"] for card in cards] == ids
    for card in cards:
        assert len(card["criteria"]) == 5
        assert card["usage"]["input_tokens"] > 0
        for judgment in card["criteria"].values():
            if says == GOOD:
                assert (judgment["status"], judgment["level"], judgment["value"]) == ("scored", 4, 0.75)
                assert judgment["reason"] == "Warm and to the point."
            else:
                assert (judgment["status"], judgment["level"], judgment["value"]) == ("unscored", None, None)
                assert BAD in judgment["error"]
    assert {card["score"] for card in cards} == ({0.75} if says == GOOD else {None})


def test_the_check(served, judge, tmp_path):
    done = kardia("judge", "check", str(judge), cwd=tmp_path)
    # the check's own criterion has three levels: 4 is none of them
    assert ("4 is not" if served[0] == GOOD else BAD) in done.stdout
    assert done.returncode == 1
    assert "answers, but not in the form" in done.stdout
    assert done.stderr == ""


def test_an_unknown_model(served, judge, tmp_path):
    done = kardia("judge", "check", str(judge), "--set", "model=/nowhere/at-all", cwd=tmp_path)
    assert done.returncode in (1, 3)
    assert "Traceback" not in done.stderr
    assert "/nowhere/at-all" in done.stdout + done.stderr
