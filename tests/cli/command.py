"""The command line as a user runs it, in a folder of its own: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kardia import scoring
from kardia.cli import main
from kardia.engine import ledger

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


def process(
    *arguments: object, cwd: Path, stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `kardia` in a process of its own and waits; nothing is raised."""
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


def kardia(*arguments: object, cwd: Path, stdin: str | None = None, **environment: str) -> Done:
    """Runs `kardia`'s entry point in this process, which saves a second for each command; nothing is raised, and
    nothing that belongs to a process stays changed."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    given = io.TextIOWrapper(io.BufferedReader(io.BytesIO((stdin or "").encode())), encoding="utf-8")
    with _as_if_alone(cwd, environment), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kardia", *map(str, arguments)])
        for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    told = [stream.detach().getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Done(code, *told)


@contextlib.contextmanager
def _as_if_alone(cwd: Path, environment: dict[str, str]) -> Iterator[None]:
    """A working directory and an environment; and whatever a process takes with it when it ends is put back."""
    log = logging.getLogger("kardia")
    handlers, propagate = list(log.handlers), log.propagate
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    thresholds, before, variables = gc.get_threshold(), Path.cwd(), dict(os.environ)
    known, said = dict(ledger._known), [(each, set(each)) for each in (ledger._warned, scoring._said)]
    for each in (ledger._known, ledger._warned, scoring._said):
        each.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(variables)
        for made in ledger._known.values():
            made.close()
        ledger._known.clear()
        ledger._known.update(known)
        for each, before_it in said:
            each.clear()
            each.update(before_it)
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        for number, handler in signals.items():
            signal.signal(number, handler)
        log.handlers[:], log.propagate = handlers, propagate


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_cards(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
