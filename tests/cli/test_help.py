"""Help: quick, with examples, and without importing what it does not need."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import pytest

from .command import KARDIA, kardia, surroundings

HEAVY = ("torch", "openai", "litellm", "transformers", "datasets", "pyarrow", "numpy", "sklearn", "aiohttp")

COMMANDS = [
    [],
    ["score"],
    ["rubric"],
    *(
        ["rubric", name]
        for name in ("list", "show", "lint", "render", "try", "diff", "new", "bump", "publish", "schema")
    ),
    ["judge"],
    *(["judge", name] for name in ("list", "show", "check")),
    ["ledger"],
    *(["ledger", name] for name in ("info", "prune", "export", "verify", "forget")),
    ["fit"],
    *(["fit", name] for name in ("weights", "gating", "calibration")),
    ["agree"],
    ["calibrate"],
    ["probe"],
    ["diagnose"],
    ["compare"],
    ["distill"],
    ["pairs"],
    ["report"],
    ["filter"],
    ["train"],
    ["evaluate"],
    ["serve"],
]

MINIMAL = '''
import typer

app = typer.Typer()


@app.command()
def greet(name: str) -> None:
    """Greet somebody."""


@app.command()
def part(name: str) -> None:
    """Say good-bye to somebody."""


if __name__ == "__main__":
    app()
'''


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(tmp_path, command):
    done = kardia(*command, "--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "Usage: kardia" in done.stdout
    assert done.stderr == ""
    if command not in (["rubric"], ["judge"], ["ledger"], ["fit"]):
        assert "Example:  kardia " + " ".join(command) in done.stdout
    assert kardia(*command, "-h", cwd=tmp_path, COLUMNS="200").stdout == done.stdout


def imported(code, tmp_path):
    report = "\nimport sys; print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    command = [sys.executable, "-c", code + report]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, env=surroundings())
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def through_main(*arguments):
    return (
        f"import sys; sys.argv = ['kardia', *{list(arguments)!r}]\nfrom kardia.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
    )


def test_importing_kardia_imports_nothing_heavy(tmp_path):
    assert imported("import kardia", tmp_path).isdisjoint((*HEAVY, "pydantic", "typer", "rich", "jinja2"))


def test_the_help_of_all_imports_least(tmp_path):
    assert imported(through_main("--help"), tmp_path).isdisjoint((*HEAVY, "pydantic", "jinja2", "ruamel"))


@pytest.mark.parametrize(
    "command",
    [["score"], ["rubric", "list"], ["judge", "check"], ["ledger", "info"], ["fit", "gating"]],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(tmp_path, command):
    assert imported(through_main(*command, "--help"), tmp_path).isdisjoint(HEAVY)


@pytest.mark.parametrize("command", [["rubric", "list"], ["judge", "list"], ["rubric", "show", "safety"]], ids=" ".join)
def test_looking_at_rubrics_and_judges_imports_no_backend(tmp_path, command):
    there = imported(through_main(*command), tmp_path)
    assert there.isdisjoint({"torch", "openai", "litellm", "transformers", "datasets", "pyarrow", "aiohttp"})


def test_scoring_with_the_fake_judge_imports_no_backend(tmp_path):
    code = "import kardia; kardia.score({'context': 'a', 'response': 'b'}, 'safety', 'fake')"
    assert imported(code, tmp_path).isdisjoint({"torch", "openai", "litellm", "transformers", "datasets", "pyarrow"})


def seconds(command, tmp_path):
    """User and system CPU time of one run: what the machine does besides does not count."""
    before = os.times()
    subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, check=True, timeout=60, env=surroundings())
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def test_help_is_nearly_as_quick_as_that_of_a_minimal_program(tmp_path):
    (tmp_path / "minimal.py").write_text(MINIMAL)
    ours, theirs = [*KARDIA, "--help"], [sys.executable, "minimal.py", "--help"]
    seconds(ours, tmp_path), seconds(theirs, tmp_path)  # byte code is written
    pairs = [(seconds(ours, tmp_path), seconds(theirs, tmp_path)) for _ in range(9)]
    assert statistics.median(a for a, _ in pairs) <= 1.5 * statistics.median(b for _, b in pairs), pairs
