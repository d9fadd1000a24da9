"""The list of commands: what it says of each is what the command says of itself."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from kardia.cli.app import COMMANDS, app

from .command import process, surroundings

RUNNER = CliRunner()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    module, _, attribute = COMMANDS[name][0].rpartition(".")
    found = getattr(importlib.import_module(f"kardia.cli.{module}"), attribute)
    said = found.info.help if isinstance(found, typer.Typer) else inspect.getdoc(found).split("\n\n")[0]
    assert COMMANDS[name][1] == " ".join(said.split())


def test_all_commands_are_listed_in_their_order() -> None:
    shown = RUNNER.invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    places = [shown.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert all(sentence in shown for _, sentence in COMMANDS.values())


@pytest.mark.parametrize("command", [["score"], ["rubric", "list"], ["fit", "weights"]], ids=" ".join)
def test_a_command_is_built_with_all_its_options(command: list[str]) -> None:
    shown = RUNNER.invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"{' '.join(command)} [OPTIONS]" in shown.stdout


def test_using_one_command_imports_no_other(tmp_path) -> None:
    code = (
        "import sys; sys.argv = ['kardia', 'ledger', '--help']\nfrom kardia.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted(name for name in sys.modules if name.startswith('kardia.cli.')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, env=surroundings()
    )
    there = {name.removeprefix("kardia.cli.") for name in done.stderr.split()}
    assert "ledger" in there
    assert there.isdisjoint(set(COMMANDS) - {"ledger"})


def test_a_name_that_is_nearly_one_is_suggested(tmp_path) -> None:
    done = process("rubrc", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'rubric'?" in done.stderr


def test_names_are_completed_in_a_shell(tmp_path) -> None:
    told = {"_KARDIA_COMPLETE": "complete_bash", "COMP_WORDS": "kardia sc", "COMP_CWORD": "1"}
    assert process(cwd=tmp_path, **told).stdout.split() == ["score"]
    told = {"_KARDIA_COMPLETE": "complete_bash", "COMP_WORDS": "kardia rubric sh", "COMP_CWORD": "2"}
    assert process("rubric", cwd=tmp_path, **told).stdout.split() == ["show"]
