"""The desk of a judge: one for a single judge, one over several for a panel or a cascade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kardia.engine.budget import Budget, Spent
from kardia.engine.desk import Desk
from kardia.engine.ensemble import CascadeTally, EnsembleDesk, MemberPlanners
from kardia.engine.ledger import Ledger
from kardia.judge.ensemble import EnsembleJudge
from kardia.judge.protocol import Judge
from kardia.rubric.rubric import Rubric

__all__ = ["Office", "desk_for"]


@dataclass
class Office:
    """What all desks of a run share.

    Attributes:
        ledger: where answers are kept; None: nowhere.
        fresh: whether everything is asked again.
        budget: what may be spent; None: as much as it takes.
        spent: counts what was.
        cascades: by profile name, what each cascade did.
    """

    ledger: Ledger | None = None
    fresh: bool = False
    budget: Budget | None = None
    spent: Spent = field(default_factory=Spent)
    cascades: dict[str, CascadeTally] = field(default_factory=dict)


def desk_for(judge: Judge, office: Office, rubrics: Sequence[Rubric] = ()) -> Desk | EnsembleDesk:
    """The desk at which a judge is asked; its members' desks with it.

    Args:
        judge: any.
        office: shared by all desks of the run.
        rubrics: what will be asked, so that members that cannot be asked it are refused now.

    Raises:
        InputError: where a member's template or mode does not fit a rubric.
    """
    if not isinstance(judge, EnsembleJudge):
        return Desk(judge, ledger=office.ledger, fresh=office.fresh, budget=office.budget, spent=office.spent)
    desks = [desk_for(member.judge, office, rubrics) for member in judge.members]
    tally = None
    if judge.profile.cascade is not None:
        tally = office.cascades.setdefault(judge.profile.name, CascadeTally())
    return EnsembleDesk(judge, desks, MemberPlanners(judge, rubrics), tally)
