"""What lint's rules look at, and the list they are entered in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from kardia.rubric.models import Criterion, RubricFile
from kardia.rubric.rubric import Rubric
from kardia.yamlfile import Document, YamlPath

__all__ = ["RULES", "Check", "Embed", "Hit", "Rule", "Severity", "Subject", "rule"]

Severity = Literal["error", "warning"]
Hit = tuple[YamlPath, str, str]
"""Path, message, how to mend it."""
Embed = Callable[[list[str]], list[list[float]]]


@dataclass(frozen=True)
class Subject:
    """What the rules look at.

    Attributes:
        document: the source.
        file: the rubric as written.
        rubric: it resolved; None where an include cannot be had.
        data_keys: metadata keys of the data it is meant for; None where nobody said.
        embed: texts → vectors; None where no encoder is installed.
    """

    document: Document
    file: RubricFile
    rubric: Rubric | None
    data_keys: frozenset[str] | None = None
    embed: Embed | None = None

    @property
    def criteria(self) -> list[tuple[YamlPath, Criterion]]:
        """The file's own criteria with their paths."""
        return [(("criteria", number), criterion) for number, criterion in enumerate(self.file.criteria)]

    @property
    def all_criteria(self) -> list[tuple[YamlPath, Criterion]]:
        """The included ones too, with the path of what brings them."""
        found = self.criteria
        if self.rubric is not None:
            own = {criterion.id for criterion in self.file.criteria}
            starts = [(f"{part.as_}.", number) for number, part in enumerate(self.rubric.parts)]
            for criterion in self.rubric.criteria:
                if criterion.id not in own:
                    number = next((n for start, n in starts if criterion.id.startswith(start)), 0)
                    found.append((("include", number), criterion))
        return found


Check = Callable[[Subject], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id, what it is called, how grave a hit is, and the test."""

    id: str
    severity: Severity
    check: Check

    @property
    def explanation(self) -> str:
        """What the rule is about, in a sentence or two."""
        return " ".join((self.check.__doc__ or "").split())


RULES: list[Rule] = []


def rule(id_: str, severity: Severity) -> Callable[[Check], Check]:
    """Enters a check into `RULES`."""

    def register(check: Check) -> Check:
        RULES.append(Rule(id_, severity, check))
        return check

    return register
