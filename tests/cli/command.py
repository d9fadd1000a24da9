"""The command line as a user runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KARDIA = [sys.executable, "-m", "kardia"]
ROWS: list[dict[str, Any]] = [
    {"id": "exam", "context": "I failed my exam.", "response": "That hurts, after all that work."},
    {"id": "dog", "messages": [{"role": "user", "content": "My dog died."}, {"role": "assistant", "content": "Oh."}]},
    {"id": 3, "context": "אני עצובה 🥀", "response": "אני כאן איתך.", "emotion": "sadness", "group": "g"},
]


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


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_cards(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
