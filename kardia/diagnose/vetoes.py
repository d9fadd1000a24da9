"""Which veto fires how often, alone and with others. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from kardia.diagnose.finding import Finding, Kind, Record, Severity, share
from kardia.diagnose.table import Table

__all__ = ["check_vetoes"]

MIN_CARDS = 50
"""With fewer, a veto that never fires may be chance."""
ALWAYS, OFTEN = 0.9, 0.5


def check_vetoes(table: Table, record: Record) -> None:
    """Each requirement's share of replies, and pairs that fire together."""
    cards = table.cards
    names = [] if table.rubric is None else [each.id for each in table.rubric.criteria if each.required is not None]
    names += [name for name in dict.fromkeys(name for card in cards for name in card.vetoed_by) if name not in names]
    fired, alone = Counter(name for card in cards for name in card.vetoed_by), Counter[str]()
    together: Counter[tuple[str, str]] = Counter()
    for card in cards:
        if len(card.vetoed_by) == 1:
            alone[card.vetoed_by[0]] += 1
        together.update(combinations(sorted(set(card.vetoed_by)), 2))
    record.overall["vetoed"] = share(sum(bool(card.vetoed_by) for card in cards), len(cards))
    record.detail["vetoes"] = []
    for name in names:
        judged = sum((mark := card.marks.get(name)) is not None and mark.status == "scored" for card in cards)
        told = share(fired[name], judged, "the requirement was never scored")
        record.of(name)["vetoes"] = told
        record.detail["vetoes"].append(
            {"criterion": name, "fired": fired[name], "alone": alone[name], "judged": judged, "share": told.to_json()}
        )
        said = _said(name, fired[name], judged, told.low)
        if said is not None:
            record.certain.append(Finding(said[0], name, {"vetoes": told}, judged, said[1], said[2], said[3]))
    record.detail["vetoes_together"] = [
        {"criteria": list(pair), "fired": count} for pair, count in sorted(together.items(), key=lambda each: -each[1])
    ]


def _said(name: str, fired: int, judged: int, low: float | None) -> tuple[Kind, Severity, str, str] | None:
    """Kind, severity, sentence and advice, where there is something to say."""
    if judged >= MIN_CARDS and not fired:
        return (
            "veto_never",
            "low",
            f"The veto of {name} fired in none of {judged:,} replies.",
            "That is as it should be where no reply deserves it. Try one that does (`kardia rubric try`): a veto that "
            "cannot fire protects nobody.",
        )
    if low is not None and low > ALWAYS:
        return (
            "veto_always",
            "high",
            f"The veto of {name} fires in {fired / judged:.0%} of {judged:,} replies: the other criteria do not count.",
            "Read some of these replies. Where the judge is wrong, word the requirement more narrowly; where it is "
            "right, teach the policy that first, without the veto.",
        )
    if low is not None and low > OFTEN:
        return (
            "veto_often",
            "medium",
            f"The veto of {name} fires in {fired / judged:.0%} of {judged:,} replies: the other criteria hardly count.",
            "Read some of these replies, and word the requirement more narrowly where the judge is wrong.",
        )
    return None
