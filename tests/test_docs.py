"""Every example of the documentation runs: in docstrings, in the README and in docs/."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kardia

ROOT = Path(__file__).resolve().parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules_with_examples():
    names = ["kardia", *(name for _, name, _ in pkgutil.walk_packages(kardia.__path__, "kardia."))]
    return [name for name in names if not name.endswith("__main__")]


def blocks(page):
    """Every fenced block of a page, in order: line, language, text."""
    text = page.read_text("utf-8")
    return [(text[: found.start()].count("\n") + 1, found[1], found[3]) for found in BLOCK.finditer(text)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a copy of the examples, as a reader has it."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", modules_with_examples())
def test_docstrings(name, place):
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in modules_with_examples() for test in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in found) >= 10
    languages = {language for page in PAGES for _, language, _ in blocks(page)}
    assert {"python", "console"} <= languages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page, place):
    """A page is read from top to bottom: what one block makes, the next ones have."""
    names: dict[str, object] = {"__name__": "__main__"}
    for line, language, text in blocks(page):
        where = f"{page.name}:{line}"
        if language == "python" and ">>> " in text:
            examples = doctest.DocTestParser().get_doctest(text, names, where, str(page), line)
            assert doctest.DocTestRunner(optionflags=FLAGS).run(examples, clear_globs=False).failed == 0, where
            names.update(examples.globs)
        elif language == "python":
            # as many newlines before it as it has in the page, so that a traceback names the right line
            exec(compile("\n" * line + text, str(page), "exec"), names)
        elif language == "console":
            for command in commands(text):
                run(command, place, where)


def commands(text):
    """The lines after `$ `; a backslash at an end continues one."""
    return [line[2:] for line in text.replace("\\\n", " ").splitlines() if line.startswith("$ ")]


def run(command, place, where):
    words = shlex.split(command, comments=True)
    assert words[0] == "kardia", f"{where}: only kardia's own commands belong into a console block, not {command}"
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in (0, 1), f"{where}: {command}\n{done.stdout}{done.stderr}"
