"""Lint: what a good reviewer would say about a rubric file, with the line and how to mend it.

Three stages. The source is read first, so that prose which YAML has cut is explained even where the file is no rubric
any more. Then the file's shape, with every fault and not only the first; a fault that a rule has explained is not
repeated. Then the rules on a file of the right shape, and on its place among its versions.

Rules: KR0 the source · KR1 questions · KR2 levels · KR3 weights · KR4 requirements · KR5 conditions and metadata ·
KR6 examples · KR7 ids · KR9 releases; `yaml` and `schema` for what is not a rubric. `rules()` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kardia.errors import InputError, YamlError
from kardia.rubric import lint_logic, lint_rules  # noqa: F401 - importing them enters their rules
from kardia.rubric.artifacts import read_artifact
from kardia.rubric.checks import file_faults, null_faults
from kardia.rubric.lint_history import changed_ids, home, misplaced, overtaken, unlocked
from kardia.rubric.lint_source import cut_by_comment, list_for_text, missing_text, text_with_key
from kardia.rubric.lint_subject import RULES, Embed, Hit, Severity, Subject
from kardia.rubric.loading import load_rubric, looks_like_path, resolve, rubric_keys
from kardia.rubric.lock import LOCK_NAME, read_lock
from kardia.rubric.models import Criterion, RubricFile
from kardia.rubric.rubric import Part, Rubric
from kardia.rubric.versions import is_draft
from kardia.schema_errors import Fault, dotted, faults_of
from kardia.yamlfile import Document, YamlPath, parse_yaml, read_text

__all__ = ["Finding", "LintReport", "lint_file", "rules"]

_SOURCE: tuple[tuple[str, Callable[[Document], Iterator[Hit]]], ...] = (
    ("KR001", cut_by_comment),
    ("KR002", missing_text),
    ("KR003", text_with_key),
    ("KR004", list_for_text),
)
_HISTORY: tuple[tuple[str, Severity, Callable[[Path, RubricFile], Iterator[Hit]]], ...] = (
    ("KR701", "warning", changed_ids),
    ("KR902", "warning", unlocked),
    ("KR903", "warning", overtaken),
    ("KR904", "error", misplaced),
)
_KR901 = "A release whose content is not what the lock holds."
_NOT_A_RUBRIC = ("yaml", "schema")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend.

    Attributes:
        rule: the rule's id, `yaml` or `schema`.
        severity: `error` where the rubric does not do what it says, `warning` where a reviewer would object.
        file: the file as it was named.
        line: the line, from 1; None where the whole file is meant.
        key: the dotted key; None where the whole file is meant.
        message: what is wrong.
        mend: what to do.
    """

    rule: str
    severity: Severity
    file: str
    line: int | None
    key: str | None
    message: str
    mend: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {self.rule} {self.severity}: {key}{self.message} — {self.mend}"


@dataclass(frozen=True, slots=True)
class LintReport:
    """What lint has to say about one file, in the order of its lines."""

    file: str
    findings: tuple[Finding, ...]

    @property
    def invalid(self) -> bool:
        """Whether the file is no rubric, for a reason that no rule explains better."""
        return any(finding.rule in _NOT_A_RUBRIC for finding in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep a rubric from being published."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return {
            "file": self.file,
            "invalid": self.invalid,
            "findings": [asdict(finding) for finding in self.findings],
        }


def rules() -> dict[str, tuple[Severity, str]]:
    """Every rule: id → (severity, what it is about)."""
    found: dict[str, tuple[Severity, str]] = {id_: ("error", _about(check)) for id_, check in _SOURCE}
    found |= {rule.id: (rule.severity, rule.explanation) for rule in RULES}
    found |= {id_: (severity, _about(check)) for id_, severity, check in _HISTORY}
    found["KR901"] = ("error", _KR901)
    return dict(sorted(found.items()))


def _about(check: Callable[..., Any]) -> str:
    text = " ".join((check.__doc__ or "").split())
    return text.split(": ", 1)[-1] if text.startswith("KR") else text


def lint_file(path: Path, *, data_keys: set[str] | None = None, embed: Embed | None = None) -> LintReport:
    """Lints one rubric file.

    Args:
        path: the file; it need not be a valid rubric.
        data_keys: metadata keys of the data that the rubric is meant for, where known.
        embed: texts → vectors of equal length, to find criteria that ask the same in other words.

    Raises:
        YamlError: where there is no such file, or it is a directory, unreadable or not UTF-8.
        RubricError: where the lock beside it is none.
    """
    text = read_text(path)
    name = str(path)
    try:
        document = parse_yaml(text, name)
    except YamlError as problem:
        return LintReport(name, (_yaml_finding(problem, text),))
    collected = _Collected(document)
    for id_, check in _SOURCE:
        collected.add(id_, "error", check(document))
    file = _shape(document, collected)
    if file is not None:
        _content(path, file, document, collected, data_keys, embed)
    return collected.report()


class _Collected:
    """Findings with the paths they explain."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []
        self.paths: list[YamlPath] = []

    def add(self, rule: str, severity: Severity, hits: Iterable[Hit]) -> None:
        for path, message, mend in hits:
            if severity == "error":  # a warning explains no fault
                self.paths.append(path)
            line, key = self.document.line(path), dotted(path) or None
            self.findings.append(Finding(rule, severity, self.document.file, line, key, message, mend))

    def faults(self, faults: Iterable[Fault]) -> None:
        """Adds what keeps the file from loading, but for what a rule has explained."""
        for path, message in faults:
            explained = any(path[: len(known)] == known for known in self.paths if known)
            if not explained:
                line, key = self.document.line(path), dotted(path) or None
                mend = "see docs/rubrics.md, or `kardia rubric schema`, for what belongs here"
                if "is not on the scale" in message:
                    mend = "write one of the levels of its scale"
                self.findings.append(Finding("schema", "error", self.document.file, line, key, message, mend))

    def report(self) -> LintReport:
        ordered = sorted(dict.fromkeys(self.findings), key=lambda finding: (finding.line or 0, finding.rule))
        return LintReport(self.document.file, tuple(ordered))


def _yaml_finding(problem: YamlError, text: str) -> Finding:
    mend = "correct the line; a text that holds `:` or `#` goes in quotes, or in a block after `|`"
    lines = text.splitlines()
    if problem.line is not None and "#" not in problem.message:
        for number in (problem.line - 1, problem.line - 2):
            source = lines[number] if 0 <= number < len(lines) else ""
            if " #" in source and not source.lstrip().startswith("#"):
                mend = f"line {number + 1} holds ` #`, which begins a comment: use quotes, or a block after `|`"
                break
    return Finding("yaml", "error", problem.file or "", problem.line, problem.key, problem.message, mend)


def _shape(document: Document, collected: _Collected) -> RubricFile | None:
    if not isinstance(document.data, dict):
        collected.faults([((), "is not a rubric: expected keys such as name, version, criteria")])
        return None
    try:
        file = RubricFile.model_validate(document.data)
        collected.faults(null_faults(document.data))
        return file
    except ValidationError as problem:
        collected.faults(faults_of(problem, document.data, rubric_keys()))
        return None


def _content(
    path: Path,
    file: RubricFile,
    document: Document,
    collected: _Collected,
    data_keys: set[str] | None,
    embed: Embed | None,
) -> None:
    rubric, problem = _resolved(file, document, path)
    assembled, include_faults = (rubric, []) if rubric is not None else _assembled(file, path)
    keys = None if data_keys is None else frozenset(data_keys)
    subject = Subject(document, file, assembled, keys, embed)
    for rule in RULES:
        collected.add(rule.id, rule.severity, rule.check(subject))
    for id_, severity, check in _HISTORY:
        collected.add(id_, severity, check(path, file))
    if problem is None:
        return
    artifact_faults: list[Fault] = []
    if assembled is not None and file.aggregate.artifact is not None:
        learned, fault = read_artifact(assembled, path)
        artifact_faults = [] if fault is None else [fault]
        assembled = replace(assembled, learned=learned)
    moved = assembled is not None and not artifact_faults and _moved(path, file, assembled)
    if moved:
        message = f"{file.name}@{file.version} is released, and its content has changed since"
        mend = f"restore the file; make changes in a draft (kardia rubric bump {file.name})"
        collected.add("KR901", "error", [(("version",), message, mend)])
    faults = include_faults or list(file_faults(file, *_included(assembled))) or artifact_faults
    collected.faults(faults or ([] if moved else [((), problem.message)]))


def _resolved(file: RubricFile, document: Document, path: Path) -> tuple[Rubric | None, InputError | None]:
    try:
        return resolve(file, document, path), None
    except InputError as problem:
        return None, problem


def _assembled(file: RubricFile, path: Path) -> tuple[Rubric | None, list[Fault]]:
    """The rubric without its own checks and lock, so that all of its faults can be listed; or what its includes
    lack."""
    parts: list[Part] = []
    faults: list[Fault] = []
    for number, include in enumerate(file.include):
        at: YamlPath = ("include", number, "rubric")
        try:
            by_path = looks_like_path(include.rubric)
            included = load_rubric(path.parent / include.rubric if by_path else include.rubric)
        except InputError as problem:
            faults.append((at, f"{include.rubric} cannot be included: {problem}"))
            continue
        parts.append(Part(include.as_ or included.name, include.weight, included))
    return (None if faults else Rubric(file, tuple(parts), str(path))), faults


def _included(rubric: Rubric | None) -> tuple[dict[str, Criterion], dict[str, float]]:
    parts = rubric.parts if rubric is not None else ()
    criteria = {f"{part.as_}.{one.id}": one for part in parts for one in part.rubric.criteria}
    return criteria, {part.as_: part.weight for part in parts}


def _moved(path: Path, file: RubricFile, rubric: Rubric) -> bool:
    folder = home(path, file)
    if folder is None or is_draft(file.version) or not (folder / LOCK_NAME).exists():
        return False
    entry = read_lock(folder).entry(file.name, file.version)
    return entry is not None and entry.hash != rubric.hash
