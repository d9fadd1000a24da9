"""What the local language-model judge saves by computing what requests have in common once.

    python benchmarks/local_judge.py [--completions 1 8 16] [--rounds 3] [--clock wall] [--write]

A model of middling size with random weights reads the prompts of 8 criteria for 1, 8 and 16 completions of one prompt,
of the lengths that kardia's own prompts have: instructions 340 tokens, context 300, a reply about 120, a criterion
about 90; the level is one token. *Naive* is one padded batch of plain forward passes after the other, sorted by length,
at the batch size that is the fastest here; logits are computed for the last token alone, and padding is not counted.
*Shared* is `kardia.judge.local.reader.Reader`. Both have the same threads and the same type of numbers. They take
turns, and a time is the best of the rounds. On a machine with a CUDA GPU it runs there, in bfloat16. On a machine that
has other things to do, `--clock cpu --threads 1` counts the processor's seconds instead of the clock's.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tables import markdown_table, write_table
from transformers import Qwen2Config, Qwen2ForCausalLM

from kardia.judge.local.labels import Reading, question_of
from kardia.judge.local.plain import read_plainly
from kardia.judge.local.reader import Reader

README = Path(__file__).with_name("README.md")
INSTRUCTIONS, CONTEXT, REPLY, CRITERION, CRITERIA = 340, 300, 120, 90, 8
VOCABULARY = 8192
LEAST = 0.7
"""Of the ratio of tokens, what the speed-up is to be at least."""
SIZES = {"cpu": (1, 2, 4, 8), "cuda": (8, 32, 64, 128)}


def model_of(layers: int, device: str) -> Any:
    """A language model with random weights: 44 million at 12 layers."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = Qwen2ForCausalLM(config).eval()
    return model.to("cuda", torch.bfloat16) if device == "cuda" else model


def readings_of(completions: int) -> list[Reading]:
    """The prompts of every criterion for every completion, with the level's five labels asked at the end."""
    chance = random.Random(completions)

    def text(length: int) -> tuple[int, ...]:
        return tuple(chance.randrange(100, VOCABULARY) for _ in range(length))

    head = text(INSTRUCTIONS + CONTEXT)
    criteria = [text(CRITERION - 15 + 30 * place // (CRITERIA - 1)) for place in range(CRITERIA)]
    replies = [text(chance.randrange(REPLY - 40, REPLY + 41)) for _ in range(completions)]
    prompts = [head + reply + criterion for reply in replies for criterion in criteria]
    return [question_of({str(n): (*prompt, n) for n in range(1, 6)}, 0).readings[0] for prompt in prompts]


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def seconds(works: Sequence[Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> list[tuple[float, Any]]:
    """For each of these, which take turns, the best time of some rounds and what the last one gave."""
    best, results = [float("inf")] * len(works), [None] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            started = clock()
            results[place] = work()
            best[place] = min(best[place], clock() - started)
    return list(zip(best, results, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--completions", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--clock", choices=sorted(CLOCKS), default="wall", help="seconds of the clock, or processor time"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = CLOCKS[options.clock]
    model = model_of(options.layers, options.device)
    reader = Reader(model)
    assert reader.shares
    some = readings_of(4)[: 2 * SIZES[options.device][-1]]
    longest = max(len(reading.tokens) for reading in some)
    read_plainly(model, some[:2], longest)  # whatever is set up at first
    sizes = SIZES[options.device]
    tried = seconds([lambda size=size: read_plainly(model, some, size * longest) for size in sizes], 2, clock)
    size = min(zip(tried, sizes, strict=True), key=lambda each: each[0][0])[1]
    rows: list[list[str]] = []
    enough = True
    for completions in options.completions:
        readings = readings_of(completions)
        naive_tokens = sum(len(reading.tokens) for reading in readings)
        most = size * max(len(reading.tokens) for reading in readings)

        def naive(readings: list[Reading] = readings, most: int = most) -> list[tuple[float, ...]]:
            return read_plainly(model, readings, most)

        def shared(readings: list[Reading] = readings) -> list[tuple[float, ...]]:
            reader.forget()
            reader.computed = 0
            return reader.read(readings)

        (naive_s, theirs), (shared_s, ours) = seconds([naive, shared], options.rounds, clock)
        apart = max(
            abs(a - b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)
        )
        ratio, speedup = naive_tokens / reader.computed, naive_s / shared_s
        enough = enough and speedup >= LEAST * ratio
        rows.append(
            [
                f"{completions} × {CRITERIA}",
                f"{reader.computed:,}",
                f"{naive_tokens:,}",
                f"{ratio:.2f}",
                f"{naive_s:.2f}",
                f"{shared_s:.2f}",
                f"{speedup:.2f}",
                f"{speedup / ratio:.2f}",
                f"{apart:.0e}",
            ]
        )
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {options.threads} threads"
    head = ["completions × criteria", "distinct tokens", "naive tokens", "ratio", "naive s", "shared s", "speed-up"]
    table = markdown_table([*head, "speed-up / ratio", "apart by"], rows, right=range(1, 9))
    name = str(next(model.parameters()).dtype).removeprefix("torch.")
    said = f"{where}, {name}; {options.layers} layers of 512; naive in batches of {size}, the fastest here."
    said += " Seconds of processor time." if options.clock == "cpu" else ""
    print(f"{said}\n\n{table}")
    if options.write:
        write_table(README, "local-judge", f"{said}\n\n{table}")
    if not enough:
        print(f"the speed-up is below {LEAST} of the ratio", file=sys.stderr)
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
