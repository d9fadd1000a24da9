"""The table of bad input: a sentence with file, line and key, exit code 2, nothing scored, nothing overwritten."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from .command import KARDIA, kardia, surroundings

RUBRIC = """\
name: own
version: 1.0.0
title: Own
criteria:
  - id: kind
    question: Is it kind?
    scale: {type: binary}
"""
GOOD_ROW = '{"id": "a", "context": "I failed.", "response": "That hurts."}\n'
TEMPLATE = """\
{{# kardia template, version 1, for per_criterion #}}
{{% block system %}}Judge.{{% endblock %}}
{{% block shared %}}{shared}{{% endblock %}}
{{% block question %}}{{{{ criterion.question }}}}{{% endblock %}}
"""
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@dataclass
class Case:
    """One row of the table.

    Attributes:
        files: name → content, written before.
        arguments: after `kardia score`; the rows' file, rubric and judge are given unless these say otherwise.
        says: what must stand in the message, as regular expressions.
    """

    says: tuple[str, ...]
    files: dict[str, str | bytes] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    rows: str = "rows.jsonl"
    rubric: str = "own.yaml"
    judge: str = "fake"
    environment: dict[str, str] = field(default_factory=dict)


def rubric(text: str | bytes, *says: str, **more: Any) -> Case:
    return Case(says, {"own.yaml": text, **more.pop("files", {})}, **more)


def rows(text: str | bytes, *says: str, name: str = "rows.jsonl", **more: Any) -> Case:
    return Case(says, {name: text}, rows=name, **more)


def judge(text: str, *says: str) -> Case:
    return Case(says, {"judge.yaml": text}, judge="judge.yaml")


def template(shared: str, *says: str) -> Case:
    files: dict[str, str | bytes] = {
        "judges/templates/mine.j2": TEMPLATE.format(shared=shared),
        "judge.yaml": "name: j\nbackend: fake\ntemplate: mine\n",
    }
    return Case(says, files, judge="judge.yaml")


def with_weights(first: str, second: str) -> str:
    warm = "  - id: warm\n    question: Is it warm?\n    scale: {type: binary}\n"
    return f"{RUBRIC}    weight: {first}\n{warm}    weight: {second}\n"


RUBRICS = {
    "broken YAML": rubric("name: own\ncriteria: [\n", r"own\.yaml:\d"),
    "broken indentation": rubric(RUBRIC + "   note: x\n", r"own\.yaml:8"),
    "exploding anchors": rubric(BOMB, r"own\.yaml:\d", "alias|anchor"),
    "anchors that explode by merging": rubric("x: &x {a: 1}\ny: {<<: *x}\n" + RUBRIC, r"own\.yaml:\d"),
    "tabs": rubric(RUBRIC.replace("    question", "\tquestion"), r"own\.yaml:6", "tab"),
    "duplicate keys": rubric(RUBRIC + "title: Again\n", r"own\.yaml:8", "title"),
    "duplicate keys inside": rubric(RUBRIC + "    id: kind\n", r"own\.yaml:8", "id"),
    "an unknown key": rubric(RUBRIC + "    wieght: 2\n", r"own\.yaml:8: criteria\.0\.wieght", "did you mean 'weight'"),
    "an unknown key at the top": rubric(RUBRIC + "colour: red\n", r"own\.yaml:8: colour"),
    "two documents": rubric(RUBRIC + "---\n" + RUBRIC, r"own\.yaml"),
    "a tag that builds an object": rubric("!!python/object/apply:os.system ['true']\n", r"own\.yaml:1"),
    "an include of itself": rubric(
        RUBRIC + "include:\n  - {rubric: own.yaml, as: me}\n", "includes itself", r"own\.yaml"
    ),
    "an include of itself by way of another": rubric(
        RUBRIC + "include:\n  - {rubric: other.yaml, as: other}\n",
        "includes itself",
        files={"other.yaml": RUBRIC.replace("own", "other") + "include:\n  - {rubric: own.yaml, as: me}\n"},
    ),
    "an include that nobody has": rubric(
        RUBRIC + "include:\n  - {rubric: nobody@1, as: x}\n", r"own\.yaml:9: include\.0\.rubric", "nobody"
    ),
    "a negative weight": rubric(with_weights("1", "-1"), r"own\.yaml:12: criteria\.1\.weight"),
    "an infinite weight": rubric(with_weights(".inf", "1"), r"own\.yaml:8: criteria\.0\.weight"),
    "a weight that is no number": rubric(with_weights("1", ".nan"), r"own\.yaml:12: criteria\.1\.weight"),
    "a weight in words": rubric(with_weights("heavy", "1"), r"own\.yaml:8: criteria\.0\.weight"),
    "weights that are all zero": rubric(with_weights("0", "0"), r"own\.yaml", "weight", "zero|0"),
    "the same id twice": rubric(RUBRIC + RUBRIC[RUBRIC.index("  - id") :], r"own\.yaml:8", "kind"),
    "no criteria": rubric(RUBRIC[: RUBRIC.index("criteria")] + "criteria: []\n", r"own\.yaml", "criteria"),
    "a key without a value": rubric(RUBRIC.replace("question: Is it kind?", "question:"), r"own\.yaml:6: criteria\.0"),
    "a scale of one level": rubric(RUBRIC.replace("{type: binary}", "{levels: {1: Kind.}}"), r"own\.yaml:7"),
    "a version that is none": rubric(RUBRIC.replace("1.0.0", "one"), r"own\.yaml:2: version", "semantic version"),
    "an empty rubric": rubric("", r"own\.yaml", "empty"),
    "a rubric of comments": rubric("# nothing yet\n", r"own\.yaml", "empty"),
    "a rubric that is a list": rubric("- a\n- b\n", r"own\.yaml:1", "not a rubric"),
    "a rubric that is a word": rubric("rubric\n", r"own\.yaml:1", "not a rubric"),
    "a rubric that is not UTF-8": rubric(RUBRIC.replace("Own", "Größe").encode("latin-1"), r"own\.yaml:3", "UTF-8"),
    "a rubric in UTF-16": rubric(RUBRIC.encode("utf-16"), r"own\.yaml", "UTF-8"),
    "a rubric that is binary": rubric(bytes(range(256)) * 4, r"own\.yaml"),
    "a rubric that is a folder": Case(
        (r"folder\.yaml", "directory|folder"), {"folder.yaml/x": ""}, rubric="folder.yaml"
    ),
    "a rubric that is not there": Case((r"gone\.yaml",), rubric="gone.yaml"),
    "a name that nobody has": Case(("there is no rubric 'nobody'", "safety"), rubric="nobody"),
    "a version that nobody has": Case(("safety@7.0.0", "1.0.0"), rubric="safety@7.0.0"),
    "a range that nobody has": Case(("safety@7", "1.0.0"), rubric="safety@7"),
    "a reference that is none": Case(("Not a Rubric",), rubric="Not a Rubric"),
    "two files with one name and version": Case(
        ("own@1.0.0", "different content", "rubrics"),
        {"rubrics/own/1.0.0.yaml": RUBRIC, "else/rubrics/own/1.0.0.yaml": RUBRIC.replace("kind?", "gentle?")},
        rubric="own@1.0.0",
        environment={"KARDIA_PATH": "else"},
    ),
    "the same rubric twice": Case(
        ("safety@1.0.0 is given twice",), rubric="safety", arguments=("--rubric", "safety@1")
    ),
}

JUDGES = {
    "no such judge": Case(("there is no judge 'nobody'", "embedded"), judge="nobody"),
    "a judge of an unknown kind": judge("name: j\nbackend: telepathy\n", r"judge\.yaml:2: backend"),
    "a judge with an unknown key": judge("name: j\nbackend: fake\nmodle: x\n", r"judge\.yaml:3: modle", "did you mean"),
    "a judge with a key that is out of range": judge(
        "name: j\nbackend: fake\nlimits:\n  concurrency: 0\n", r"judge\.yaml:4: limits\.concurrency"
    ),
    "a judge with an infinite temperature": judge(
        "name: j\nbackend: fake\nsampling: {temperature: .inf}\n", r"judge\.yaml:3: sampling\.temperature"
    ),
    "a judge that is a list": judge("- fake\n", r"judge\.yaml:1", "not a judge profile"),
    "an empty judge": judge("", r"judge\.yaml", "empty"),
    "a judge without its address": judge("name: j\nbackend: http\nmodel: m\n", r"judge\.yaml", "base_url"),
    "a judge without a model": judge("name: j\nbackend: openai\n", r"judge\.yaml", "model"),
    "a judge that only compares": judge("name: j\nbackend: fake\nmode: pairwise\n", "mode", "pairwise"),
    "an override that is none": Case(("--set", "key=value"), arguments=("--set", "nonsense")),
    "an override of an unknown key": Case(("--set: nonsense",), arguments=("--set", "nonsense=1")),
    "an override of the wrong kind": Case(("--set: limits.retries",), arguments=("--set", "limits.retries=many")),
    "an override that is infinite": Case(("--set: sampling.top_p",), arguments=("--set", "sampling.top_p=.inf")),
    "a template with an undefined name": template("{{ score }}", r"mine\.j2:3", "'score'"),
    "a template with an undefined part": template("{{ target.score }}", r"mine\.j2", "score"),
    "a template that reaches for Python": template("{{ ''.__class__.__mro__ }}", r"mine\.j2", "__class__"),
    "a template that reaches further": template(
        "{{ target.text.__init__.__globals__['os'].system('true') }}", r"mine\.j2", "unsafe|__init__"
    ),
    "a template that imports": template("{% import 'os' as os %}", r"mine\.j2"),
    "a template that is broken": template("{% if %}", r"mine\.j2:3"),
    "a template that divides by zero": template("{{ 1 // 0 }}", r"mine\.j2", "zero"),
    "a template that counts too far": template("{% for n in range(999999999) %}x{% endfor %}", r"mine\.j2"),
    "no such template": judge("name: j\nbackend: fake\ntemplate: nobody\n", "no template 'nobody'", "reasoned"),
    "a template of another mode": judge(
        "name: j\nbackend: fake\ntemplate: pairwise\n", r"pairwise\.j2", "per_criterion"
    ),
}


def row(**values: Any) -> str:
    return GOOD_ROW + json.dumps(values) + "\n"


ROWS = {
    "a file that is not there": Case((r"gone\.jsonl",), rows="gone.jsonl"),
    "an empty file": rows("", r"rows\.jsonl", "empty|no rows|holds no"),
    "a file of empty lines": rows("\n\n\n", r"rows\.jsonl"),
    "a file that is a folder": Case(
        (r"folder\.jsonl", "directory|folder"), {"folder.jsonl/x": ""}, rows="folder.jsonl"
    ),
    "a file that is not UTF-8": rows(
        GOOD_ROW.encode() + '{"response": "für"}\n'.encode("latin-1"), r"rows\.jsonl:2", "UTF-8"
    ),
    "a file in UTF-16": rows(GOOD_ROW.encode("utf-16"), r"rows\.jsonl", "UTF-8|JSON"),
    "a line that is no JSON": rows(GOOD_ROW + "{broken\n", r"rows\.jsonl:2", "JSON"),
    "a line that is a number": rows(GOOD_ROW + "7\n", r"rows\.jsonl:2"),
    "a number that JSON has not": rows('{"context": "a", "response": "b", "x": NaN}\n', r"rows\.jsonl:1"),
    "a surrogate without its half": rows('{"context": "a", "response": "\\ud800"}\n', r"rows\.jsonl:1"),
    "no messages": rows(row(id="b", messages=[]), r"rows\.jsonl:2", "messages"),
    "messages that are text": rows(row(id="b", messages="hello"), r"rows\.jsonl:2", "messages"),
    "no reply": rows(row(id="b", messages=[{"role": "user", "content": "Hi"}]), r"rows\.jsonl:2", "assistant"),
    "an unknown role": rows(row(id="b", messages=[{"role": "bot", "content": "Hi"}]), r"rows\.jsonl:2", "bot"),
    "content that is a number": rows(
        row(id="b", messages=[{"role": "assistant", "content": 7}]), r"rows\.jsonl:2", "content"
    ),
    "nothing that is known": rows(row(id="b", prompts="x"), r"rows\.jsonl:2"),
    "a repeated id": rows(GOOD_ROW + "\n" + GOOD_ROW, r"rows\.jsonl:3", "'a'", "line 1"),
    "criteria of its own that are none": rows(
        row(id="b", context="a", response="b", metadata={"rubric": [{"question": ""}]}),
        r"rows\.jsonl:2: metadata\.rubric",
    ),
    "criteria of its own whose id is taken": rows(
        row(id="b", context="a", response="b", metadata={"rubric": [{"id": "kind", "question": "Is it?"}]}),
        r"rows\.jsonl:2",
        "kind",
    ),
    "a CSV without the columns": rows("a,b\n1,2\n", r"rows\.csv", name="rows.csv"),
    "a parquet file that is none": rows("PAR1 not really", r"rows\.parquet", name="rows.parquet"),
    "a map that is none": Case(("--map",), arguments=("--map", "reply")),
    "a map to a column that is not there": Case(
        (r"rows\.jsonl:1|--map", "answer"), arguments=("--map", "reply=answer")
    ),
    "nothing but bad rows": rows("{\n{\n", "none of its 2 rows", arguments=("--skip-bad",)),
}

OUTPUTS = {
    "a folder that is not there": Case((r"nowhere/out\.jsonl", "folder"), arguments=("-o", "nowhere/out.jsonl")),
    "an output that is a folder": Case(("folder", "directory"), {"folder/x": ""}, arguments=("-o", "folder")),
    "an output that is the input": Case((r"rows\.jsonl", "input"), arguments=("-o", "rows.jsonl")),
    "an output whose name is too long": Case(("cannot be written",), arguments=("-o", "x" * 400)),
    "parquet to standard output": Case(("-o",), arguments=("--format", "parquet", "-o", "-")),
    "a format that nobody writes": Case(("csv",), arguments=("--format", "csv")),
    "an option that nobody knows": Case(("--colour",), arguments=("--colour", "red")),
    "a limit of nothing": Case(("--limit",), arguments=("--limit", "0")),
}

TABLE = {**RUBRICS, **JUDGES, **ROWS, **OUTPUTS}


def prepared(tmp_path, case):
    for name, content in {"rows.jsonl": GOOD_ROW, "own.yaml": RUBRIC, **case.files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "out.jsonl").write_text("what was there\n")
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", TABLE)
def test_bad_input(tmp_path, name):
    case = TABLE[name]
    before = prepared(tmp_path, case)
    output = () if "-o" in case.arguments else ("-o", "out.jsonl")
    arguments = [case.rows, "--rubric", case.rubric, "--judge", case.judge, *output, *case.arguments]
    done = kardia("score", *arguments, cwd=tmp_path, **case.environment)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "fault in kardia" not in done.stderr
    flat = re.sub(r"\s+", " ", done.stderr)
    for words in case.says:
        assert re.search(words, flat), done.stderr
    if "Usage:" not in done.stderr:  # Typer's own way of saying it
        assert done.stderr.startswith("kardia: ")
        assert done.stderr.count("\n") == 1, done.stderr
    assert (tmp_path / "out.jsonl").read_text() == "what was there\n"
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == before


def test_the_cases_are_bad_in_one_way_only(tmp_path):
    prepared(tmp_path, Case(()))
    done = kardia("score", "rows.jsonl", "--rubric", "own.yaml", "--judge", "fake", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "judges/templates").mkdir(parents=True)
    (tmp_path / "judges/templates/mine.j2").write_text(TEMPLATE.format(shared="{{ target.text }}"))
    (tmp_path / "judge.yaml").write_text("name: j\nbackend: fake\ntemplate: mine\n")
    done = kardia("score", "rows.jsonl", "--rubric", "own.yaml", "--judge", "judge.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = kardia("score", "rows.jsonl", "--rubric", "safety@1.0.0", "--judge", "fake", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    weighted = tmp_path / "weighted.yaml"
    weighted.write_text(with_weights("1", "0"))
    assert kardia("score", "rows.jsonl", "--rubric", weighted, "--judge", "fake", cwd=tmp_path).returncode == 0


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
@pytest.mark.parametrize("what", ["folder", "file"])
def test_an_output_that_may_not_be_written(tmp_path, what):
    prepared(tmp_path, Case(()))
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "out.jsonl").write_text("what was there\n")
    (folder if what == "folder" else folder / "out.jsonl").chmod(0o500 if what == "folder" else 0o400)
    command = ["score", "rows.jsonl", "--rubric", "own.yaml", "--judge", "fake", "-o", "locked/out.jsonl"]
    done = kardia(*command, cwd=tmp_path)
    folder.chmod(0o700)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr
    assert (folder / "out.jsonl").read_text() == "what was there\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the platform has no /dev/full")
def test_standard_output_on_a_full_disk(tmp_path):
    prepared(tmp_path, Case(()))
    command = [*KARDIA, "score", "rows.jsonl", "--rubric", "own.yaml", "--judge", "fake"]
    with open("/dev/full", "w") as full:
        pipes = {"stdout": full, "stderr": subprocess.PIPE}
        done = subprocess.run(command, cwd=tmp_path, text=True, timeout=60, env=surroundings(), **pipes)
    assert done.returncode == 2
    assert "standard output: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert "fault in kardia" not in done.stderr
