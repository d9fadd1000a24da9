"""Every example of the documentation runs: in docstrings, in the README and in docs/."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from cli.command import kardia as command_line
from cli.command import surroundings
from pages import PAGES, ROOT, blocks, typed

import kardia

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules_with_examples():
    names = ["kardia", *(name for _, name, _ in pkgutil.walk_packages(kardia.__path__, "kardia."))]
    return [name for name in names if not name.endswith("__main__")]


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
    languages = {block.language for page in PAGES for block in blocks(page)}
    assert {"python", "console"} <= languages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page, place):
    """A page is read from top to bottom: what one block makes, the next ones have."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        where, text = block.where, block.text
        if block.saved is not None:
            (place / block.saved).write_text(text, "utf-8")
        elif block.language == "python" and ">>> " in text:
            examples = doctest.DocTestParser().get_doctest(text, names, where, str(page), block.line)
            assert doctest.DocTestRunner(optionflags=FLAGS).run(examples, clear_globs=False).failed == 0, where
            names.update(examples.globs)
        elif block.language == "python":
            # as many newlines before it as it has in the page, so that a traceback names the right line
            exec(compile("\n" * block.line + text, str(page), "exec"), names)
        elif block.language == "console":
            for command in typed(text):
                run(command, place, where)


def test_the_plan_for_a_billion_judgments_is_what_its_own_lines_say(place, capsys):
    asked, guessed, plan, printed = blocks(ROOT / "docs" / "scale.md")
    said = [command_line(*shlex.split(command)[1:], cwd=place).stderr.splitlines()[0] for command in typed(asked.text)]
    assert said == guessed.text.splitlines()
    figures = [re.search(r"about ([\d,]+) tokens in and at most ([\d,]+) out", line).groups() for line in said]
    assert all(f"{count.replace(',', '_')} / 24" in plan.text for line in figures for count in line)
    capsys.readouterr()
    exec(compile(plan.text, "scale.md", "exec"), {})
    assert capsys.readouterr().out == printed.text


def run(command, place, where):
    words = shlex.split(command, comments=True)
    if words[0] == "python":
        assert (place / words[1]).is_file(), f"{where}: the page does not say what is in {words[1]}"
        if importlib.util.find_spec("trl") is None:
            pytest.skip("training needs kardia[train]")
        done, expected = (
            subprocess.run(
                [sys.executable, *words[1:]],
                cwd=place,
                capture_output=True,
                text=True,
                timeout=300,
                env=surroundings(),
                stdin=subprocess.DEVNULL,
            ),
            (0,),
        )
    else:
        assert words[0] == "kardia", f"{where}: only kardia's own commands belong into a console block, not {command}"
        # in this process: torch and the encoder are loaded once, not by each of a hundred commands
        done, expected = command_line(*words[1:], cwd=place), (0, 1)
    assert done.returncode in expected, f"{where}: {words}\n{done.stdout}{done.stderr}"
