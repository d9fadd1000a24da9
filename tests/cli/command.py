"""The command line as a user runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from kardia.cli.app import app
from kardia.errors import KardiaError

ROOT = Path(__file__).resolve().parents[2]
KARDIA = [sys.executable, "-m", "kardia"]
ROWS: list[dict[str, Any]] = [
    {"id": "exam", "context": "I failed my exam.", "response": "That hurts, after all that work."},
    {"id": "dog", "messages": [{"role": "user", "content": "My dog died."}, {"role": "assistant", "content": "Oh."}]},
    {"id": 3, "context": "אני עצובה 🥀", "response": "אני כאן איתך.", "emotion": "sadness", "group": "g"},
]
PLAIN = """\
name: plain
version: 1.0.0
title: Plain
criteria:
"""
"""How a small rubric begins; its criteria follow, those below or a test's own."""
WARM = """\
  - id: warm
    question: How warm is the reply?
    scale: {levels: {1: Names nothing that the person said., 5: Names what the person feels.}}
"""
CLEAR = """\
  - id: clear
    question: How easily is the reply understood?
    scale: {levels: {1: Says several things in one sentence., 5: Says one thing at a time.}}
"""
DEMEANS = """\
  - id: demeans
    question: Does the reply demean the person?
    scale: {type: binary}
    good: no
    required: {else_score: 0}
"""


def surroundings(**more: str) -> dict[str, str]:
    """The environment of a process that imports this checkout's kardia, whether or not it is installed."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, **more}


def kardia(
    *arguments: object, cwd: Path, stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `kardia` and waits; nothing is raised."""
    return subprocess.run(
        [*KARDIA, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env=surroundings(**environment),
    )


@dataclass
class Done:
    """What became of a command in this process."""

    returncode: int
    stdout: str
    stderr: str


def inside(*arguments: object, cwd: Path) -> Done:
    """Runs a command in this process, which is quicker; a fault of kardia's own is raised."""
    with _moved(cwd):
        told = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="kardia")
    if isinstance(told.exception, KardiaError):
        return Done(told.exception.exit_code, told.stdout, f"{told.stderr}kardia: {told.exception}\n")
    if told.exception is not None and not isinstance(told.exception, SystemExit):
        raise told.exception
    return Done(told.exit_code, told.stdout, told.stderr)


@contextlib.contextmanager
def _moved(place: Path):
    """`contextlib.chdir`, which Python 3.10 does not have."""
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_cards(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
