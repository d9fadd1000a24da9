"""What the documentation shows and does not run: commands exist, files of every format are valid, imports resolve."""

from __future__ import annotations

import ast
import csv
import importlib
import io
import json
import re

import pytest
import typer
from pages import PAGES, ROOT, Block, blocks, every_block, kardia_commands

from kardia.cli.app import app
from kardia.judge.profile import JudgeProfile, load_profile
from kardia.policy.recipes import load_recipe
from kardia.prompt import load_template
from kardia.reading.rows import conversation_from_row
from kardia.reward.loading import load_reward_spec
from kardia.rubric.loading import load_rubric
from kardia.rubric.models import RubricFile
from kardia.yamlfile import load_yaml

EXECUTED = {"python", "console"}
CHECKED = {"", "text", "sh", "bash", "yaml", "json", "py", "toml", "csv", "jinja"}
SHORT = {"name": "short", "version": "1.0.0", "title": "Short"}
CRITERION = {"id": "kind", "question": "Is it kind?", "scale": {"type": "binary"}}


def named(found):
    return pytest.mark.parametrize("block", found, ids=lambda block: block.where)


def test_every_block_is_of_a_kind_that_is_run_or_checked():
    unknown = [block.where for page in PAGES for block in blocks(page) if block.language not in EXECUTED | CHECKED]
    assert not unknown


# Commands


def parse(words):
    """Reads a command line as `kardia` would, and runs nothing."""
    command = typer.main.get_command(app)
    if list(words) in (["--help"], ["--version"]):
        return command
    context, name = typer.Context(command, info_name="kardia"), "kardia"
    while hasattr(command, "get_command"):
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
        if hasattr(command, "get_command"):
            context = typer.Context(command, info_name=name, parent=context)
    return command if list(words) == ["--help"] else command.make_context(name, list(words), parent=context)


@named([block for block in every_block("text", "sh", "bash", "console") if any(kardia_commands(block))])
def test_commands_exist(block):
    for words in kardia_commands(block):
        try:
            parse(words)
        except Exception as problem:
            pytest.fail(f"{block.where}: kardia {' '.join(words)}: {problem}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("score a.jsonl", "rubric"),
        ("score a.jsonl --rubric x --nope", "nope"),
        ("score a.jsonl --rubric x --format xml", "xml"),
        ("rubric tri x", "tri"),
        ("nope", "nope"),
    ],
)
def test_a_wrong_command_is_seen(line, said):
    with pytest.raises(Exception, match=said):
        parse(line.split())


def test_the_makefile_and_the_extras_that_are_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    project = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.optional-dependencies]")[2]
    extras = set(re.findall(r"^([a-z]+) = \[", project.partition("\n[")[0], re.MULTILINE))
    for block in every_block("sh", "bash"):
        assert set(re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)) <= targets, block.where
    for page in PAGES:
        for found in re.findall(r"(?:kardia|none-any\.whl|/path/to/kardia)\[([a-z,]+)\]", page.read_text("utf-8")):
            assert set(found.split(",")) <= extras, f"{page}: [{found}]"


# Formats


@pytest.fixture
def document(tmp_path):
    """The text of a block as YAML that kardia reads."""

    def read(block: Block):
        path = tmp_path / "block.yaml"
        path.write_text(block.text, "utf-8")
        return path, load_yaml(path).data

    return read


def rubric_part(data):
    """A part of a rubric, as a whole one."""
    if isinstance(data, list):
        data = {"criteria": data}
    elif "question" in data and "criteria" not in data:
        data = {"criteria": [{**CRITERION, **data}]}
    elif "levels" in data and "examples" not in data:
        data = {"examples": [{"reply": "I am here.", **data}]}
    return {**SHORT, "criteria": [CRITERION], **data}


@named(every_block("yaml"))
def test_yaml(block, document, tmp_path):
    if not re.sub(r"^#.*", "", block.text, flags=re.MULTILINE).strip():
        assert re.fullmatch(r"# yaml-language-server: \$schema=\S+\s*", block.text)
        return
    path, data = document(block)
    keys = set() if isinstance(data, list) else set(data)
    if "backend" in keys:
        JudgeProfile.model_validate(data)
    elif "terms" in keys:
        load_reward_spec(path)
    elif {"grpo", "model"} <= keys:
        load_recipe(path)
    elif {"name", "version", "title"} <= keys and keys & {"criteria", "include"}:
        whole = tmp_path / data["name"] / f"{data['version']}.yaml"
        whole.parent.mkdir()
        whole.write_text(block.text, "utf-8")
        load_rubric(whole)
    elif keys <= set(RubricFile.model_fields) | {"question", "levels", "guidance"}:
        RubricFile.model_validate(rubric_part(data))
    elif keys == {"exceptions"}:  # of the audit: tests/test_release.py reads it
        assert all(set(each) == {"id", "package", "because", "until"} for each in data["exceptions"])
    else:
        assert names_of_kardia(data), f"{block.where}: what is it?"


def names_of_kardia(settings):
    """The rewards and judges that another program's settings name; each must exist."""
    found = []
    for key, value in settings.items() if isinstance(settings, dict) else enumerate(settings):
        if isinstance(value, dict | list):
            found += names_of_kardia(value)
        elif key == "judge":
            found.append(load_profile(value).name)
        elif key == "reward":
            found.append(load_rubric(value).name if "@" in value else load_reward_spec(value).name)
        elif key == "path" and str(value).startswith("pkg://kardia"):
            found.append(getattr(importlib.import_module(value.removeprefix("pkg://")), settings["name"]).__name__)
    return found


@named(every_block("toml"))
def test_toml(block):
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    settings = tomllib.loads(block.text)
    named = names_of_kardia(settings)
    assert named or "rewards" in settings["env"]["taskset"]["task"]


@named(every_block("json"))
def test_json(block):
    if re.match(r'"\w+": ', block.text):  # a key of a larger object
        assert json.loads("{" + block.text + "}")
        return
    for line in block.text.splitlines():
        row = json.loads(line)
        if "prompt" in row and "completion" not in row:
            assert row["prompt"].strip()
        else:
            assert conversation_from_row(row, "x").messages[-1].role == "assistant"


@named(every_block("csv"))
def test_csv(block):
    head, *rows = csv.reader(io.StringIO(block.text))
    assert rows
    assert {len(row) for row in rows} == {len(head)}


@named(every_block("jinja"))
def test_jinja(block, tmp_path, monkeypatch):
    mode = re.search(r"for (\w+) #\}", block.text)[1]
    folder = tmp_path / "judges" / "templates"
    folder.mkdir(parents=True)
    (folder / "shown.j2").write_text(block.text, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_template("shown", mode)


@named(every_block("py"))
def test_python_that_is_not_run(block):
    """It is Python, and what it takes from kardia is there."""
    tree = ast.parse(block.text, block.where)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kardia":
            module = importlib.import_module(node.module)
            # what another package's classes are made into is there once that is installed
            known = getattr(module, "__all__", ())
            assert all(each.name in known or hasattr(module, each.name) for each in node.names), block.where
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "kardia":
            assert hasattr(importlib.import_module("kardia"), node.attr), f"{block.where}: kardia.{node.attr}"
