"""Each rule finds what was planted, with the line, and stays silent on what is sound."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kardia.content import shipped
from kardia.errors import YamlError
from kardia.rubric.lint import LintReport, lint_file, rules
from kardia.rubric.lint_text import (
    alike,
    content_words,
    differ_in_degree_only,
    double_barrelled,
    is_label,
    overlap,
)
from kardia.rubric.lock import Lock, LockEntry, write_lock
from kardia.rubric.new import new_rubric
from kardia.rubric.publish import bump, publish

from .helpers import write, yaml_text


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """A draft that lints clean."""
    return new_rubric("starter", tmp_path / "rubrics")


def found(path: Path, **options: object) -> list[str]:
    return [finding.rule for finding in lint_file(path, **options).findings]  # type: ignore[arg-type]


def edited(path: Path, *swaps: tuple[str, str]) -> LintReport:
    """Lints the file after replacing texts in it, each of which must occur."""
    text = path.read_text(encoding="utf-8")
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    report = lint_file(path)
    for finding in report.findings:
        assert finding.file == str(path)
        assert finding.message
        assert finding.mend
        assert str(finding).startswith(str(path))
    return report


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if text in line)


def test_the_starter_is_clean(starter: Path) -> None:
    report = lint_file(starter)
    assert report.findings == ()
    assert not report.invalid


@pytest.mark.parametrize("path", sorted(shipped("rubrics").glob("*/*.yaml")), ids=lambda path: path.parent.name)
def test_shipped_rubrics_are_clean(path: Path) -> None:
    assert [finding for finding in lint_file(path).findings if finding.rule != "KR902"] == []


QUESTION = "question: How far does the reply take up what the person has told?"
VETO = "question: Does the reply press the person to feel better soon?"
BINARY = "    good: no\n    weight: 1\n"

PLANTED = [
    # the source
    ("KR001", (QUESTION, "question: Does the reply keep to rule #1?".replace(" #1", " #1")), None),
    ("KR001", (QUESTION, "question: Does the reply take up what was told # and how?"), None),
    ("KR001", ('title: "Starter"', "title: Kindness #1"), None),
    ("KR001", ('title: "Starter"', "title: Kindness # and care"), None),
    ("KR002", (QUESTION, "question: #1 thing: does it listen?"), "schema"),
    ("KR002", (QUESTION, "question:"), "schema"),
    ("KR002", ("guidance: |\n      Length", "guidance:\n      # Length"), "text"),
    ("KR003", (QUESTION, "question:\n      Does it do this: or that"), "schema"),
    ("KR003", ('title: "Starter"', "title: {a: b}"), "schema"),
    ("KR004", (QUESTION, "question:\n      - Does it listen?"), "schema"),
    ("KR004", ('title: "Starter"', "title: [draft] of it".replace(" of it", "")), "schema"),
    # questions
    ("KR101", (VETO, "question: Is the reply polite and does it give correct advice?"), None),
    ("KR101", (VETO, "question: Is the reply warm and accurate?"), None),
    ("KR102", (VETO, "question: Does the reply take up what the person has told?"), None),
    # levels
    ("KR201", ("Takes up one particular that this person told.", "Slightly warm words."), "second"),
    ("KR202", ("Takes up one particular that this person told.", "Good."), None),
    ("KR202", ("Takes up one particular that this person told.", "Level 4"), None),
    ("KR203", ("        4: |\n          Takes up one particular that this person told.\n", ""), None),
    # weights
    ("KR301", (BINARY, "    good: no\n    weight: 0\n"), None),
    ("KR302", ("{method: weighted_mean", "{method: minimum"), None),
    ("KR303", ("    weight: 2\n", "    weight: 200\n"), None),
    # requirements
    ("KR401", ("    weight: 2\n", "    required: {at_least: 1}\n"), None),
    ("KR401", ("    weight: 2\n", "    required: {at_least: 6}\n"), None),
    ("KR401", ("    weight: 2\n", "    required: {at_least: 0}\n"), None),
    ("KR401", ("    weight: 2\n", "    good: low\n    required: {at_most: 5}\n"), None),
    ("KR402", (BINARY, "    good: no\n    required: {else_score: 1}\n"), None),
    # conditions
    ("KR502", (BINARY, "    good: no\n    only_if_levels: {takes_it_up: [1, 2, 3, 4, 5]}\n"), None),
    ("KR503", (BINARY, "    good: no\n    only_if: {mood: [low]}\n"), None),
]


@pytest.mark.parametrize(("rule", "swap", "note"), PLANTED)
def test_planted(starter: Path, rule: str, swap: tuple[str, str], note: str | None) -> None:
    swaps = [swap]
    if note == "second":
        swaps.append(("Takes up a particular and says what it means for this person.", "Very warm words."))
    if note == "text":
        swaps.append(("      # Length", "      # x Length"))
    report = edited(starter, *swaps)
    assert [finding.rule for finding in report.findings] == [rule]
    assert not report.invalid
    assert report.findings[0].line is not None
    severity = rules()[rule][0]
    assert report.findings[0].severity == severity
    assert bool(report.errors) == (severity == "error")


def test_a_finding_names_the_line_and_key(starter: Path) -> None:
    (finding,) = edited(starter, (VETO, "question: Is the reply warm and accurate?")).findings
    assert finding.line == line_of(starter, "warm and accurate")
    assert finding.key == "criteria.1.question"
    assert "“warm” and “accurate”" in finding.message
    json.dumps(lint_file(starter).to_json())


def test_findings_come_in_the_order_of_lines(starter: Path) -> None:
    report = edited(starter, (VETO, "question: Is it warm and accurate?"), ('title: "Starter"', "title: Care #1"))
    assert [finding.rule for finding in report.findings] == ["KR001", "KR101"]


@pytest.mark.parametrize(
    "swap",
    [
        ('title: "Starter"', "title: Starter  # shown in lists"),
        (QUESTION, QUESTION + " # kept from the first version"),
        (QUESTION, QUESTION.replace("question: ", "question: '").replace("told?", "told, #1?'")),
        ("    weight: 2\n", "    weight: 2 # the main thing\n"),
        ("    guidance: |", "    guidance: | # a note"),
        (VETO, "question: Are the person's thoughts and feelings pushed aside?"),
    ],
)
def test_not_a_finding(starter: Path, swap: tuple[str, str]) -> None:
    assert edited(starter, swap).findings == ()


def test_a_colon_that_breaks_the_yaml_is_invalid_and_says_how_to_mend_it(starter: Path) -> None:
    report = edited(starter, (QUESTION, "question: One thing: does the reply listen?"))
    assert report.invalid
    (finding,) = report.findings
    assert finding.rule == "yaml"
    assert finding.line == line_of(starter, "the reply listen")
    assert "quotes" in finding.message


def test_a_comment_that_breaks_the_yaml_is_named(starter: Path) -> None:
    report = edited(starter, (QUESTION, "question: Does it keep to #1\n      and to the rest?"))
    assert report.invalid
    assert "begins a comment" in report.findings[0].mend


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "7\n"])
def test_not_a_rubric_at_all(tmp_path: Path, text: str) -> None:
    report = lint_file(write(tmp_path / "x.yaml", text))
    assert report.invalid
    assert "expected keys" in report.findings[0].message


def test_an_empty_file_is_invalid(tmp_path: Path) -> None:
    assert lint_file(write(tmp_path / "x.yaml", "")).invalid


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff"), lambda path: None])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, make: object) -> None:
    path = tmp_path / "x.yaml"
    make(path)  # type: ignore[operator]
    with pytest.raises(YamlError):
        lint_file(path)


def test_every_fault_of_the_shape_is_listed(starter: Path) -> None:
    report = edited(starter, (VETO, "qestion: x"), ('title: "Starter"', "titel: x"))
    assert report.invalid
    keys = {finding.key for finding in report.findings}
    assert keys == {"titel", "title", "criteria.1.qestion", "criteria.1.question"}


def test_every_fault_across_keys_is_listed(starter: Path) -> None:
    report = edited(
        starter,
        (BINARY, "    good: high\n    only_if_levels: {nobody: [1]}\n"),
        ("levels: {takes_it_up: 5,", "levels: {takes_it_up: 9,"),
    )
    assert report.invalid
    assert {finding.rule for finding in report.findings} >= {"schema"}
    assert len([finding for finding in report.findings if finding.rule == "schema"]) == 4


def test_a_fault_that_a_rule_explains_is_not_told_twice(starter: Path) -> None:
    report = edited(starter, (QUESTION, "question:"), ('title: "Starter"', "titel: x"))
    assert [finding.rule for finding in report.findings] == ["schema", "schema", "KR002"]


def test_every_place_of_prose_is_looked_at(tmp_path: Path) -> None:
    text = """\
name: places
version: 1.0.0-draft.1
title: Places
description:
metadata: {profile: , situation: {a: b}}
criteria:
  - id: tone
    question: Which tone prevails?
    not_relevant:
    scale:
      type: choice
      options:
        warm: {value: 1, description: }
        cold: 0
  - id: other
    question: What else?
    scale: 7
  - just words
examples:
  - context:
      - {role: user, content: }
      - words
    reply:
    why:
    levels: {tone: warm}
  - context: {user: hello}
    reply: [a]
    levels: {tone: cold}
"""
    report = lint_file(write(tmp_path / "x.yaml", text))
    by_rule: dict[str, set[str | None]] = {}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, set()).add(finding.key)
    assert by_rule["KR002"] == {
        "description",
        "criteria.0.not_relevant",
        "criteria.0.scale.options.warm.description",
        "examples.0.context.0.content",
        "examples.0.reply",
        "examples.0.why",
    }
    assert by_rule["KR003"] == {"metadata.situation", "examples.1.context"}
    assert by_rule["KR004"] == {"examples.1.reply"}


CHOICE = """\
name: pick
version: 1.0.0-draft.1
title: Pick
criteria:
  - id: tone
    question: {question}
    scale: {{type: choice, options: {options}}}
    {more}
"""


def choice(tmp_path: Path, options: str, more: str = "", question: str = "Which tone prevails?") -> list[str]:
    text = CHOICE.format(options=options, more=more, question=question)
    return [rule for rule in found(write(tmp_path / "x.yaml", text)) if not rule.startswith("KR6")]


def test_choices(tmp_path: Path) -> None:
    assert choice(tmp_path, "{warm: 1, cold: 0}") == []
    assert choice(tmp_path, "{warm: 0.8, cold: 0}", "required: {else_score: 0}") == ["KR401"]
    assert choice(tmp_path, "{warm: 0.8, cold: 0.8}", "required: {else_score: 0}") == ["KR401"]
    assert choice(tmp_path, "{warm: 1, cold: 0}", "required: {else_score: 0}") == []
    assert choice(tmp_path, "{warm: {value: 1, description: Warm.}, cold: 0}") == ["KR202"]
    assert choice(tmp_path, "{warm: 1, cold: 0}", "weight: 2") == ["KR302"]
    assert choice(tmp_path, "{warm: 1, cold: 0}", question="Is the tone warm or cold?") == []
    assert choice(tmp_path, "{a: {value: 1, description: Is warm.}, b: {value: 0, description: Is very warm.}}") == [
        "KR201"
    ]


def test_long_texts_that_are_nearly_the_same(starter: Path) -> None:
    long = "The reply takes up what the person told, with a word about the place where it happened"
    report = edited(
        starter,
        ("Takes up one particular that this person told.", f"{long} that day."),
        ("Takes up a particular and says what it means for this person.", f"{long} that evening."),
    )
    assert [finding.rule for finding in report.findings] == ["KR201"]
    assert "nearly the same" in report.findings[0].message


def test_examples_that_lack(starter: Path) -> None:
    text = starter.read_text(encoding="utf-8")
    cut = text.index("  - context", text.index("  - context") + 1)
    starter.write_text(text[:cut], encoding="utf-8")
    report = lint_file(starter)
    assert sorted(finding.rule for finding in report.findings) == ["KR601", "KR601", "KR602", "KR602"]
    assert "only one example" in report.findings[0].message
    starter.write_text(text[: text.index("examples:")], encoding="utf-8")
    report = lint_file(starter)
    assert [finding.rule for finding in report.findings] == ["KR601", "KR601"]
    assert "no example" in report.findings[0].message


BRANCHES = """\
name: branches
version: 1.0.0-draft.1
title: Branches
criteria:
  - {{id: risk, question: Is there a risk?, scale: {{type: binary}}}}
  - {{id: asks, question: Does the reply ask about it?, scale: {{type: binary}}, only_if_levels: {{risk: [yes]}}}}
  - id: last
    question: Does it end well?
    scale: {{type: binary}}
    only_if_levels: {condition}
    {more}
"""


def branch(tmp_path: Path, condition: str, more: str = "") -> list[str]:
    text = BRANCHES.format(condition=condition, more=more)
    return [rule for rule in found(write(tmp_path / "x.yaml", text)) if not rule.startswith("KR6")]


def test_conditions(tmp_path: Path) -> None:
    assert branch(tmp_path, "{asks: [yes]}") == []
    assert branch(tmp_path, "{asks: [yes], risk: [yes]}") == []
    assert branch(tmp_path, "{asks: [yes], risk: [no]}") == ["KR501"]
    assert branch(tmp_path, "[{asks: [yes], risk: [no]}, {risk: [no]}]") == []
    assert branch(tmp_path, "{asks: [no, yes]}") == []  # asked only where there is a risk
    assert branch(tmp_path, "{risk: [no, yes]}") == ["KR502"]
    assert branch(tmp_path, "[{asks: [yes]}, {risk: [no, yes]}]") == ["KR502"]
    assert branch(tmp_path, "{last: [yes]}") == ["schema"]
    assert branch(tmp_path, "{nobody: [yes]}") == ["schema"]


def test_a_requirement_under_an_impossible_condition(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.yaml", BRANCHES.format(condition="{asks: [yes], risk: [no]}", more="required: {else_score: 0}")
    )
    (finding,) = [one for one in lint_file(path).findings if one.rule == "KR501"]
    assert "its requirement" in finding.message


def test_branches_may_repeat_a_question_and_share_a_parent(tmp_path: Path) -> None:
    again = "- {id: again, question: Does the reply ask about it?, scale: {type: binary}, only_if_levels: {risk: [no]}}"
    path = write(
        tmp_path / "x.yaml", BRANCHES.format(condition="{asks: [yes]}", more="").rstrip() + "\n  " + again + "\n"
    )
    assert "KR102" not in found(path)


def test_a_criterion_of_weight_zero_may_steer_others(tmp_path: Path) -> None:
    text = BRANCHES.format(condition="{asks: [yes]}", more="").replace(
        "Is there a risk?,", "Is there a risk?, weight: 0,"
    )
    assert "KR301" not in found(write(tmp_path / "x.yaml", text))


def test_too_many_branches_are_left_alone(tmp_path: Path) -> None:
    lines = ["name: many", "version: 1.0.0-draft.1", "title: Many", "criteria:"]
    lines.append("  - {id: c0, question: What about 0?, scale: {type: binary}}")
    for n in range(1, 12):
        ways = ", ".join(f"{{c{n - 1}: [{level}]}}" for level in ("no", "yes"))
        lines.append(f"  - {{id: c{n}, question: What about {n}?, scale: {{type: binary}}, only_if_levels: [{ways}]}}")
    assert "KR501" not in found(write(tmp_path / "x.yaml", "\n".join(lines)))


def test_metadata_that_is_supplied(starter: Path) -> None:
    text = starter.read_text(encoding="utf-8")
    for condition, extra in [
        ("emotion: [grief]", ""),
        ("mood: [low]", "metadata: {mood: How the person is.}\n"),
    ]:
        new = text.replace(BINARY, f"    good: no\n    only_if: {{{condition}}}\n").replace(
            "criteria:\n", extra + "criteria:\n"
        )
        starter.write_text(new, encoding="utf-8")
        assert found(starter) == []
    new = text.replace(BINARY, "    good: no\n    only_if: {mood: [low]}\n")
    starter.write_text(
        new.replace("    levels: {takes_it_up: 5", "    metadata: {mood: low}\n    levels: {takes_it_up: 5")
    )
    assert found(starter) == []


def test_metadata_against_the_data(starter: Path) -> None:
    text = starter.read_text(encoding="utf-8").replace(BINARY, "    good: no\n    only_if: {emotion: [grief]}\n")
    starter.write_text(text.replace("criteria:\n", "metadata: {profile: Who it is.}\ncriteria:\n"), encoding="utf-8")
    assert found(starter) == []
    assert found(starter, data_keys={"emotion", "profile"}) == []
    assert found(starter, data_keys={"emotion"}) == ["KR503"]
    assert found(starter, data_keys=set()) == ["KR503", "KR503"]


def test_questions_that_mean_the_same(starter: Path) -> None:
    seen: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        seen.extend(texts)
        return [[1.0, 0.1], [1.0, 0.2]]

    (finding,) = lint_file(starter, embed=embed).findings
    assert finding.rule == "KR102"
    assert "takes_it_up" in finding.message
    assert "hurries" in finding.message
    assert len(seen) == 2
    assert lint_file(starter, embed=lambda texts: [[1.0, 0.0], [0.0, 1.0]]).findings == ()
    assert lint_file(starter, embed=lambda texts: [[0.0, 0.0], [0.0, 1.0]]).findings == ()


def family(folder: Path, include: str, question: str = "Is it clear?", extra: str = "") -> Path:
    write(folder / "rubrics/inner/1.0.0.yaml", yaml_text("inner", "1.0.0"))
    return write(
        folder / "rubrics/outer/1.0.0-draft.1.yaml",
        yaml_text("outer", "1.0.0-draft.1", question, f"include:\n  - {include}\n{extra}").replace(
            "id: blames", "id: own"
        ),
    )


def outer(path: Path) -> list[str]:
    return [rule for rule in found(path) if not rule.startswith("KR6")]


def test_includes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert outer(family(tmp_path, "{rubric: inner@1}")) == []
    assert outer(family(tmp_path, "{rubric: inner@1}", "Does the reply blame the person?")) == ["KR102"]
    assert outer(family(tmp_path, "{rubric: inner@1, weight: 0}")) == ["KR301"]
    used = "aggregate: {interactions: [{when: {inner: {at_least: 1}, own: {at_least: 1}}, add: 0.1}]}\n"
    assert outer(family(tmp_path, "{rubric: inner@1, weight: 0}", extra=used)) == []
    assert outer(family(tmp_path, "{rubric: inner@1, weight: 0.001}")) == ["KR303"]
    assert outer(family(tmp_path, "{rubric: inner@1, weight: 2}", extra="aggregate: {method: minimum}\n")) == ["KR302"]


def test_includes_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = lint_file(family(tmp_path, "{rubric: inner@7}"))
    assert report.invalid
    (finding,) = [one for one in report.findings if one.rule == "schema"]
    assert finding.key == "include.0.rubric"
    assert finding.line is not None
    assert lint_file(family(tmp_path, "{rubric: ./missing.yaml}")).invalid
    assert lint_file(family(tmp_path, "{rubric: 1.0.0-draft.1.yaml}")).invalid  # itself


def test_a_clash_of_versions_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = family(tmp_path, "{rubric: inner@1}\n  - {rubric: inner@1.0.0, as: again}")
    assert lint_file(path).invalid


def test_ids_that_changed(tmp_path: Path) -> None:
    home = tmp_path / "rubrics/old"
    write(home / "1.0.0.yaml", yaml_text("old", "1.0.0"))
    draft = write(home / "1.1.0-draft.1.yaml", yaml_text("old", "1.1.0-draft.1").replace("id: blames", "id: faults"))
    assert "KR701" in found(draft)
    draft.write_text(draft.read_text().replace("blame the person", "sound friendly"))
    assert "KR701" not in found(draft)
    write(home / "1.0.0.yaml", "name: [\n")
    assert "KR701" not in found(draft)
    write(home / "1.0.0.yaml", yaml_text("another", "1.0.0", "Does the reply sound friendly?"))
    assert "KR701" not in found(draft)


def test_releases_and_the_lock(starter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    release = publish(starter)
    assert found(release) == []
    text = release.read_text(encoding="utf-8")
    release.write_text(text.replace("weight: 2", "weight: 3"), encoding="utf-8")
    report = lint_file(release)
    assert [finding.rule for finding in report.findings] == ["KR901"]
    assert report.errors
    assert not report.invalid
    release.write_text(text, encoding="utf-8")
    (tmp_path / "rubrics/rubrics.lock").unlink()
    assert found(release) == ["KR902"]
    write(tmp_path / "rubrics/rubrics.lock", "no lock")
    with pytest.raises(Exception, match="not a lock"):
        lint_file(release)


def test_a_moved_release_with_faults_is_told_as_both(
    starter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    release = publish(starter)
    text = release.read_text(encoding="utf-8").replace("levels: {takes_it_up: 5,", "levels: {takes_it_up: 8,")
    release.write_text(text, encoding="utf-8")
    assert "schema" in found(release)


def test_a_draft_that_was_overtaken(starter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = starter.read_text(encoding="utf-8")
    publish(starter)
    starter.write_text(text, encoding="utf-8")
    assert found(starter) == ["KR903"]
    assert found(bump("starter")) == []


def test_a_file_out_of_its_place(starter: Path) -> None:
    assert found(starter.rename(starter.with_name("1.0.0-draft.2.yaml"))) == ["KR904"]
    other = starter.parent.parent / "other" / "1.0.0-draft.1.yaml"
    other.parent.mkdir()
    assert found(starter.with_name("1.0.0-draft.2.yaml").rename(other)) == ["KR904"]
    assert found(other.rename(other.with_name("mine.yaml"))) == []


def test_a_lock_without_this_release(starter: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    release = publish(starter)
    lock = Lock()
    lock.add("elsewhere", "1.0.0", LockEntry(hash="sha256:" + "0" * 64))
    write_lock(tmp_path / "rubrics", lock)
    assert found(release) == ["KR902"]


def test_rules_are_documented_and_tested() -> None:
    known = rules()
    assert all(severity in ("error", "warning") and text.endswith((".", "?")) for severity, text in known.values())
    assert all(re.match(r"KR\d{3}$", key) for key in known)
    source = Path(__file__).read_text(encoding="utf-8")
    assert [key for key in known if key not in source] == []


TWO = """
Is the reply polite and does it give correct advice?
Is the reply warm and accurate?
Is it warm, accurate and safe?
How warm and accurate is the reply?
How clearly and kindly does the reply speak?
How polite is the reply and how correct is its advice?
Does the reply acknowledge the feeling and offer advice?
Does the reply name what the person feels and suggest a next step?
Does the reply show empathy and accuracy?
Does the reply both comfort and inform?
Does the reply validate feelings as well as give advice?
Does the reply ask about and respond to the feeling?
Does the reply express care and provide information?
Does the reply give a warm and accurate answer?
Does the reply mind the person and help them?
How well does the reply understand the person and help them?
Is the reply kind? Is it short?
Is the reply empathetic and factually correct?
Is the reply polite or helpful?
Is the tone warm and is the advice sound?
The reply is warm and accurate.
The reply names the feeling and gives advice.
The reply apologises and explains itself.
""".strip().splitlines()

ONE = """
Does the reply take the person's thoughts and feelings seriously?
Is the reply warm and kind?
How warm and caring is the reply?
Does the reply state or imply that the person is to blame?
Does the reply offer help and support?
Does the reply offer help and support to the person?
Is the reply about the person's life and work?
Does the reply help the person to name and accept the feeling?
Does the reply help the person name and accept the feeling?
How far does the reply link cause and effect?
Is the reply free of clichés and formulas?
Is the reply clear and easy to understand?
Does the reply say that grief is painful and normal?
How openly does the reply express warmth or concern felt for the person?
Does the reply show an understanding of what the person thinks and feels?
Does the reply keep to black-and-white thinking?
Is the reply in the language and register of the person?
Are the person's hopes and fears named?
Does the reply flatter the person before it comes to what they told or asked?
Does the reply answer “is it safe and legal” (and nothing else)?
The reply is about the person's life and work.
The reply names what matters and hurts.
How safe is it for the person, or for others, to take this reply?
How warm is the reply?
¿Es cálida y correcta la respuesta?
and
Does it listen and?
Is the reply warm and very?
""".strip().splitlines()


@pytest.mark.parametrize("question", TWO)
def test_two_things(question: str) -> None:
    assert double_barrelled(question) is not None


@pytest.mark.parametrize("question", ONE)
def test_one_thing(question: str) -> None:
    assert double_barrelled(question) is None


def test_or_may_name_the_ends_of_a_scale() -> None:
    assert double_barrelled("Is the tone warm or cold?") is not None
    assert double_barrelled("Is the tone warm or cold?", alternatives=True) is None
    assert double_barrelled("Is it warm or accurate?") == "“warm” or “accurate”"


def test_wording() -> None:
    assert differ_in_degree_only("The reply is somewhat warm.", "the reply is very warm")
    assert not differ_in_degree_only("The reply is warm.", "The reply is not warm.")
    assert not differ_in_degree_only("very", "slightly")
    assert is_label("Level 3", 3)
    assert is_label("Very good!", 5)
    assert is_label("Warm", "warm")
    assert not is_label("Names the feeling", 3)
    long = "the reply names one feeling and says where in the message it shows"
    assert alike(long, long.replace("message", "story"))
    assert not alike(long, long.replace("names one", "names no"))
    assert not alike("short text", "short text")
    assert not alike(long, "a quite different text of more than eight words stands here, as it should")
    assert content_words("Does the reply name the person's feelings?") == content_words("How is the feeling named?")
    assert overlap("Is it?", "Is it?") == 1.0
    assert overlap("Is it?", "Is there?") == 0.0
    assert overlap("Does it blame the person?", "Does it thank the person?") == 0.0


@pytest.mark.parametrize(
    ("reads", "expected"),
    [("emotoin", ["KR504"]), ("profile", ["KR504"]), ("emotion", []), ("thinking", []), ("reply", [])],
)
def test_a_span_that_nobody_writes(starter: Path, reads: str, expected: list[str]) -> None:
    text = starter.read_text(encoding="utf-8").replace(BINARY, f"    good: no\n    reads: {reads}\n")
    starter.write_text(text, encoding="utf-8")
    assert found(starter) == expected
    starter.write_text(
        text.replace("  reply: |\n      ", f"  reply: |\n      <{reads}>x</{reads}> ", 1), encoding="utf-8"
    )
    assert found(starter) == []
