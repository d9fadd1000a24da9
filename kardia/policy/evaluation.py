"""Policies on held-out conversations: each writes its replies, judges score them, and one table holds them all.

Everything is checked before anything is loaded, written or asked. Replies are kept (`kardia.policy.generations`), and
judgments lie in the ledger: the same evaluation again asks nobody, another rubric or judge regenerates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kardia.engine import loop
from kardia.engine.budget import Budget, Spent
from kardia.engine.halt import Halt
from kardia.engine.ledger import Ledger, open_ledger
from kardia.errors import BudgetExhausted, InputError, OutputError, RubricError
from kardia.files import write_text
from kardia.judge import Judge, JudgeProfile, build_judge, default_judge, load_profile
from kardia.judge.ensemble import judge_provenance, members_of
from kardia.plan import Planner
from kardia.policy.comparison import Comparison
from kardia.policy.existing import own_replies, read_replies
from kardia.policy.generations import Generations
from kardia.policy.heldout import Asking, HeldOuts, read_held_out
from kardia.policy.outcome import Outcome, Progress, Replies, Run
from kardia.policy.resampling import check_numpy
from kardia.policy.tables import to_latex, to_markdown
from kardia.policy.wording import system_text
from kardia.policy.writers import Means, Policy, Writing, policy_of
from kardia.rubric.loading import load_rubric
from kardia.rubric.rubric import Rubric
from kardia.scoring import JudgeLike, RubricLike, budget_of
from kardia.version import __version__

__all__ = ["Evaluation", "Options", "evaluate"]


@dataclass(frozen=True)
class Options:
    """How an evaluation is done.

    Attributes:
        asking: what the held-out rows are, and how policies are asked.
        writing: how replies are written.
        output: the folder for replies, scorecards and tables; None: nothing is written.
        regenerate: whether kept replies are written anew.
        text: whether scorecards carry texts.
        ledger, fresh, max_requests, max_cost: as for `kardia.score_many`; the caps hold for writers and judges
            together.
    """

    asking: Asking = field(default_factory=Asking)
    writing: Writing = field(default_factory=Writing)
    output: Path | None = None
    regenerate: bool = False
    text: bool = True
    ledger: str | Path | Ledger | None = field(default=None, repr=False)  # an address may hold a password
    fresh: bool = False
    max_requests: int | None = None
    max_cost: float | None = None


@dataclass
class Evaluation:
    """An evaluation that passed the door.

    Attributes:
        policies: the first is what the others are compared with.
        held_out: the prompts.
        rubrics: what is scored.
        judges: by whom, under the name that a table shows; a judge that was handed over is among them as it is.
        options: how it is done.
        given: policy → the replies that are there already.
        halt: a wish to stop, from another thread.
    """

    policies: list[Policy]
    held_out: HeldOuts
    rubrics: list[Rubric]
    judges: dict[str, JudgeProfile | Judge]
    options: Options
    given: Mapping[str, Replies]
    halt: Halt = field(default_factory=Halt)

    @classmethod
    def prepare(
        cls,
        policies: Sequence[str],
        data: str | Path,
        rubrics: Sequence[RubricLike],
        judge: JudgeLike = None,
        *,
        second_judge: JudgeLike = None,
        overrides: Sequence[str] = (),
        options: Options | None = None,
    ) -> Evaluation:
        """Reads and checks everything; loads no model and asks nobody.

        Args:
            policies: as `kardia.policy.writers` names them.
            data: the file of held-out conversations.
            rubrics: what replies are scored by.
            judge: who scores; None: `$KARDIA_JUDGE`, else `embedded`.
            second_judge: who scores them once more, to see whether the first is only pleased.
            overrides: `key.path=value` items that replace what the first judge's profile says.
            options: how it is done.

        Raises:
            InputError: with file, line and key.
            MissingExtra: where numpy is not installed.
        """
        options = options or Options()
        check_numpy()
        loaded = [load_rubric(reference) for reference in rubrics]
        for number, rubric in enumerate(loaded):
            if any(rubric.ref == other.ref for other in loaded[:number]):
                raise RubricError(f"{rubric.ref} is given twice")
        judges = _judges(judge, second_judge, overrides)
        for known in judges.values():
            _check_judge(known, loaded, options)
        found = [policy_of(reference, options.writing) for reference in policies]
        _check_names(found)
        for policy in found:
            if policy.profile is not None:
                budget_of(policy.profile, options.max_requests, options.max_cost)
        held_out = read_held_out(data, options.asking, loaded)
        given: dict[str, Replies] = {}
        for policy in found:
            if policy.file is not None:
                given[policy.name] = read_replies(policy.file, held_out)
            elif policy.writer is None:
                given[policy.name] = own_replies(held_out)
        if options.output is not None and options.output.exists() and not options.output.is_dir():
            raise OutputError("is a file; the replies, scorecards and tables need a folder", file=str(options.output))
        return cls(found, held_out, loaded, judges, options, given)

    def kept(self, policy: Policy) -> Generations:
        """What a policy has written before, under these very conditions."""
        folder = self.options.output
        path = None if folder is None else folder / "generations" / f"{policy.name}.jsonl"
        kept = Generations(path, policy.identity.digest)
        if self.options.regenerate:
            kept.forget()
        return kept

    def run(self, told: Progress = lambda what, done, total: None) -> Outcome:
        """Writes, scores, measures; the tables lie in the output folder afterwards.

        Args:
            told: called as it goes on.

        Raises:
            Interrupted: after `halt`; JudgeUnreachable, BudgetExhausted: what was written and scored is kept.
            OutputError: where the folder cannot be written.
        """
        options, spent = self.options, Spent()
        built = {name: each if isinstance(each, Judge) else build_judge(each) for name, each in self.judges.items()}
        if not isinstance(options.ledger, Ledger):
            # a place that cannot hold one is told before anything is written
            options = self.options = replace(options, ledger=open_ledger(options.ledger) or "off")
        budget = None
        if options.max_requests is not None or options.max_cost is not None:
            budget = Budget(options.max_requests, options.max_cost)
        try:
            outcome = Run(self, built, Means(budget, spent, self.halt), told).outcome()
        except BudgetExhausted as problem:
            if not spent.requests:
                raise
            raise BudgetExhausted(
                f"the budget is used up after {spent.requests:,} requests; what was written and scored is kept, and "
                "the same command goes on from there"
            ) from problem
        finally:
            for name, each in built.items():
                if each is not self.judges[name]:
                    loop.finish(each.aclose())
        if options.output is not None:
            self._write(outcome.comparison, options.output)
        return outcome

    def _write(self, found: Comparison, folder: Path) -> None:
        import json

        write_text(folder / "report.json", json.dumps(found.to_json(), ensure_ascii=False, indent=2) + "\n")
        write_text(folder / "table.md", to_markdown(found))
        write_text(folder / "table.tex", to_latex(found))

    def facts(self) -> dict[str, Any]:
        """Where the numbers are from."""
        asking = self.options.asking
        profiles = [each if isinstance(each, JudgeProfile) else each.profile for each in self.judges.values()]
        return {
            "kardia": __version__,
            "data": {"file": Path(self.held_out.file).name, "prompts": self.held_out.digest},
            "rubrics": [{"name": each.name, "version": each.version, "hash": each.hash} for each in self.rubrics],
            "judges": [judge_provenance(profile) for profile in profiles],
            "system": system_text(asking.data, asking.labels if asking.told is None else asking.told),
            "tell": list(asking.data.tell),
            "samples": self.options.writing.samples,
        }


def evaluate(
    policies: str | Sequence[str],
    data: str | Path,
    rubric: RubricLike | Sequence[RubricLike],
    judge: JudgeLike = None,
    *,
    second_judge: JudgeLike = None,
    options: Options | None = None,
) -> Comparison:
    """Evaluates policies on held-out conversations.

    Args:
        policies: one or several, as `kardia.policy.writers` names them.
        data: the file of held-out conversations.
        rubric: one or several, that replies are scored by.
        judge, second_judge, options: as `Evaluation.prepare` takes them.

    Raises:
        KardiaError: as `Evaluation.prepare` and `Evaluation.run` do.
    """
    listed = [policies] if isinstance(policies, str) else policies
    rubrics = rubric if isinstance(rubric, Sequence) and not isinstance(rubric, str) else [rubric]
    prepared = Evaluation.prepare(listed, data, rubrics, judge, second_judge=second_judge, options=options)
    return prepared.run().comparison


def _judges(judge: JudgeLike, second: JudgeLike, overrides: Sequence[str]) -> dict[str, JudgeProfile | Judge]:
    first = _judge(default_judge() if judge is None else judge, overrides)
    found = {_profile(first).name: first}
    if second is not None:
        other = _judge(second, ())
        if _profile(other).hash == _profile(first).hash:
            raise InputError(
                f"{_profile(other).name} is the first judge, and would say the same", file="--second-judge"
            )
        name = _profile(other).name
        found[f"{name} (second)" if name in found else name] = other
    return found


def _judge(judge: str | Path | JudgeProfile | Judge, overrides: Sequence[str]) -> JudgeProfile | Judge:
    return load_profile(judge, overrides) if isinstance(judge, (str, Path)) else judge


def _profile(judge: JudgeProfile | Judge) -> JudgeProfile:
    return judge if isinstance(judge, JudgeProfile) else judge.profile


def _check_judge(judge: JudgeProfile | Judge, rubrics: Sequence[Rubric], options: Options) -> None:
    profile = _profile(judge)
    for rubric in rubrics:
        Planner(rubric, profile, prompts=judge.reads_prompts)  # renders the template once, on trial
        for member in members_of(profile):
            Planner(rubric, member, prompts=member.reads_prompts)
    budget_of(profile, options.max_requests, options.max_cost)


def _check_names(policies: Sequence[Policy]) -> None:
    if not policies:
        raise InputError("no policy is named")
    seen: dict[str, Policy] = {}
    for policy in policies:
        other = seen.setdefault(policy.name.casefold(), policy)
        if other is not policy:
            raise InputError(f"two policies are called {policy.name}; give each a name: NAME={policy.name} …")
