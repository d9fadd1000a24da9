"""How people call the criteria of some rubrics, and which they mean. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from kardia.agreement.sheets import Sheets
from kardia.errors import InputError
from kardia.rubric.models import Criterion
from kardia.student.tasks import task_digest

__all__ = ["Asked", "Names", "near"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One criterion of one rubric.

    Attributes:
        ref: the rubric's `name@version`.
        id: the criterion's, with the prefixes of includes.
        criterion: None where the rubric is not known.
        digest: what is asked; equal ones are one question. None where that is not known.
    """

    ref: str
    id: str
    criterion: Criterion | None
    digest: str | None

    @property
    def key(self) -> str:
        """`<rubric>.<criterion id>`."""
        return f"{self.ref.partition('@')[0]}.{self.id}"


class Names:
    """The criteria of scorecards, found by what they are called.

    A name is a criterion's key (`supportiveness.warmth`), its id where one rubric has it, or the last part of its id
    where that is clear. Where several rubrics ask the very same question, its name means all of them.
    """

    def __init__(self, sheets: Sheets) -> None:
        self.asked: dict[str, Asked] = {}
        for ref, rubric in sheets.rubrics.items():
            known: Mapping[str, Criterion] = {} if rubric.found is None else rubric.found.by_id
            target = "reply" if rubric.found is None else rubric.found.target
            seen = dict.fromkeys(known)
            if rubric.found is None:
                for cards in sheets.by_judge.values():
                    for card in cards.get(ref, {}).values():
                        seen.update(dict.fromkeys(card.criteria))
            for own_id in seen:
                criterion = known.get(own_id)
                digest = None if criterion is None else task_digest(criterion, target)
                asked = Asked(ref, own_id, criterion, digest)
                self.asked[asked.key] = asked
        self._tiers: tuple[dict[str, list[str]], ...] = ({}, {}, {})
        for key, asked in self.asked.items():
            for tier, name in zip(self._tiers, (key, asked.id, asked.id.rpartition(".")[2]), strict=True):
                tier.setdefault(name, []).append(key)

    @property
    def short(self) -> dict[str, str]:
        """Key → the shortest name that is clear: the id, or the key where several rubrics have it."""
        ids = self._tiers[1]
        return {key: asked.id if len(ids[asked.id]) == 1 else key for key, asked in self.asked.items()}

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of the criteria that a name means; empty where it means none.

        Raises:
            InputError: where it means different questions.
        """
        found = next((tier[name] for tier in self._tiers if name in tier), [])
        if not found:
            return ()
        digests = {self.asked[key].digest for key in found}
        if len(found) > 1 and (len(digests) > 1 or None in digests):
            raise InputError(f"{name!r} is a criterion of several rubrics: say which, {' or '.join(sorted(found))}")
        (digest, *_) = digests
        if digest is None:
            return tuple(found)
        return tuple(key for key, asked in self.asked.items() if asked.digest == digest)

    def one(self, name: str) -> tuple[str, ...]:
        """`keys`, for a name that has to mean something.

        Raises:
            InputError: also where it means nothing.
        """
        found = self.keys(name)
        if not found:
            hint = near(name, self.known)
            refs = ", ".join(dict.fromkeys(asked.ref for asked in self.asked.values()))
            raise InputError(f"{refs} has no criterion {name!r}{hint or '; it has ' + ', '.join(self.short.values())}")
        return found

    @property
    def known(self) -> tuple[str, ...]:
        """Everything that a criterion may be called."""
        return tuple(dict.fromkeys(name for tier in self._tiers for name in tier))


def near(name: str, names: tuple[str, ...], cutoff: float = 0.7) -> str:
    """`; did you mean …?`, or nothing."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""
