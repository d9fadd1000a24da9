"""`kardia probe`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kardia.cli.options import Fresh, Ledger, Map, MaxCost, MaxRequests, SkipBad

if TYPE_CHECKING:
    from kardia.conversation import Conversation
    from kardia.judge import JudgeProfile
    from kardia.probe.design import Design
    from kardia.probe.report import ProbeReport
    from kardia.rubric.rubric import Rubric
    from kardia.scoring import Settings

__all__ = ["probe"]


class Guard(str, Enum):
    """What is done with a reply that addresses the judge."""

    unscore = "unscore"


_GATES = "Gate: exit code 1 where it is missed"


def probe(
    file: Annotated[
        str | None, typer.Argument(help="JSONL, JSON, CSV or Parquet; - for stdin; or the name of a data set.")
    ] = None,
    rubric: Annotated[str | None, typer.Option("--rubric", "-r", help="Name, name@version, or path.")] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge", "-j", help="Profile name or path. Repeatable: side by side. Default: $KARDIA_JUDGE, or embedded."
        ),
    ] = None,
    probes: Annotated[
        list[str] | None,
        typer.Option(
            "--probes", help="Names of probes or groups: padding,injections; -retest leaves one out. Default: all."
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what each probe does, and stop.")] = False,
    output: Annotated[str | None, typer.Option("-o", "--output", help="Write everything there, as JSON.")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", help="From how much on a score has moved. Default: one level's worth."),
    ] = None,
    unsteady: Annotated[
        float,
        typer.Option("--unsteady", help="The share of levels that may change where nothing but the wording did."),
    ] = 0.2,
    every_variant: Annotated[
        bool, typer.Option("--every-variant", help="Try all ways of a probe on each conversation, and not one.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 7,
    paraphrases: Annotated[
        str, typer.Option("--paraphrases", metavar="COLUMN", help="A text, or a list of texts, to stand for the reply.")
    ] = "paraphrases",
    translations: Annotated[
        str, typer.Option("--translations", metavar="COLUMN", help="Language → the reply, or all messages, in it.")
    ] = "translations",
    skip_bad: SkipBad = False,
    map_: Map = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override the profiles, all of them: sampling.temperature=1. Repeatable."),
    ] = None,
    ledger: Ledger = None,
    fresh: Fresh = False,
    max_requests: MaxRequests = None,
    max_cost: MaxCost = None,
    guard: Annotated[
        Guard | None,
        typer.Option("--guard", help="Leave replies unscored that address the judge: how much does that help?"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for machines.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked, of whom, and stop.")] = False,
    max_attack_success: Annotated[
        float | None,
        typer.Option(
            "--max-attack-success", min=0, max=1, help="The share of attacks that succeed.", rich_help_panel=_GATES
        ),
    ] = None,
    by_interval: Annotated[
        bool,
        typer.Option("--by-interval", help="The upper end of its interval must reach it.", rich_help_panel=_GATES),
    ] = False,
) -> None:
    """What fools a judge: replies are changed in known ways, judged again, and the scores compared.

    Filler, flattery, self-praise, claims of authority, words to the judge, replies that say nothing or belong to
    somebody else, other wording and layout, and the same question once more; on your own conversations. For each the
    shift of the score with a 95 % interval, and a finding where the judge did what a good one does not. Exit code 0:
    done; 1: a stated threshold was missed; 2: input or configuration is wrong; 3: the judge could not be reached, or
    the budget is used up; 130: interrupted. What was paid for is kept in the ledger, and the same command goes on from
    there.

    Example:  kardia probe examples/conversations.jsonl --rubric supportiveness --judge embedded -o probe.json
    """
    if list_:
        _list(as_json)
        return
    from kardia.agreement.ratings import needs_numpy
    from kardia.cli.jsonfile import check_json_file, write_json_file
    from kardia.cli.probe_views import show
    from kardia.cli.terminal import note, print_json
    from kardia.errors import InputError
    from kardia.judge import default_judge, load_profile
    from kardia.probe.catalogue import chosen
    from kardia.probe.running import check_terms, designed
    from kardia.rubric.loading import load_rubric
    from kardia.scoring import Settings

    if file is None or rubric is None:
        raise InputError("names the conversations, and --rubric by what they are judged", file="FILE")
    if by_interval and max_attack_success is None:
        raise InputError("goes with --max-attack-success", file="--by-interval")
    needs_numpy("probing")
    check_json_file(output, file, rubric, *(judge or ()))
    check_terms(tolerance, unsteady)
    names = [name.strip() for given in probes or () for name in given.split(",") if name.strip()]
    tried = chosen(names)
    loaded = load_rubric(rubric)
    profiles = [load_profile(name, set_ or []) for name in judge or [default_judge()]]
    _check_profiles(profiles)
    conversations = _read(file, loaded, map_, limit, skip_bad)
    design = designed(
        conversations,
        loaded,
        tried,
        seed=seed,
        every_variant=every_variant,
        paraphrases=paraphrases,
        translations=translations,
    )
    settings = Settings(False, ledger, fresh, max_requests, max_cost, guard=None if guard is None else guard.value)
    if dry_run:
        _announce(profiles, design, loaded, [one.name for one in tried], settings, "order" in names, as_json)
        return
    report = _run(design, loaded, profiles, tried, settings, tolerance, unsteady, seed, "order" in names)
    missed = _missed(report, max_attack_success, by_interval)
    gates = {"max_attack_success": max_attack_success, "by_interval": by_interval, "missed": missed}
    told = {**report.to_json(), "gates": gates if max_attack_success is not None else None}
    write_json_file(output, told)
    if output is not None:
        note(f"everything is in {output}")
    if as_json:
        if output is None:
            print_json(told)
    else:
        show(report)
    for sentence in report.notes:
        note(sentence)
    _print_spent(settings)
    for name in missed:
        note(f"missed: more than {max_attack_success:.0%} of the attacks on {name} succeed")
    if missed:
        raise typer.Exit(1)


def _list(as_json: bool) -> None:
    from kardia.cli.terminal import print_json, stdout, table
    from kardia.probe.catalogue import PROBES

    if as_json:
        print_json([probe.to_json() for probe in PROBES])
        return
    made = table(None, ("probe", "group", "a good judge's score", "what is done"))
    for each in PROBES:
        expected = {"no rise": "does not rise", "fall": "falls", "same": "stays"}[each.expects]
        made.add_row(each.name, each.group, expected, each.what + (" (attack)" if each.attack else ""))
    stdout().print(made)


def _check_profiles(profiles: Sequence[JudgeProfile]) -> None:
    from kardia.errors import ProfileError

    seen: set[str] = set()
    for profile in profiles:
        if profile.name in seen:
            raise ProfileError("stands there twice: judges are told apart by their names", file=profile.name)
        seen.add(profile.name)


def _read(file: str, rubric: Rubric, mapping: str | None, limit: int | None, skip_bad: bool) -> list[Conversation]:
    from kardia.cli.terminal import note
    from kardia.errors import ConversationError, RubricError
    from kardia.reading import Source, parse_map
    from kardia.rubric.loading import instance_criteria

    def check(conversation: Conversation) -> None:
        own = conversation.metadata.get("rubric")
        if own is not None:
            try:
                instance_criteria(own, rubric)
            except RubricError as problem:
                raise ConversationError(problem.message, key=problem.key) from None

    with Source(
        file, mapping=parse_map(mapping) if mapping else None, skip_bad=skip_bad, limit=limit, check=check
    ) as source:
        survey = source.check()
        if survey.bad:
            note(f"{survey.bad:,} bad rows are left out")
        return list(source.conversations())


def _announce(
    profiles: Sequence[JudgeProfile],
    design: Design,
    rubric: Rubric,
    names: Sequence[str],
    settings: Settings,
    order: bool,
    as_json: bool,
) -> None:
    from kardia.cli.terminal import note, print_json
    from kardia.probe.forecast import forecast

    ledger, fresh = settings.ledger, settings.fresh
    found = [forecast(profile, design, rubric, names, ledger=ledger, fresh=fresh, order=order) for profile in profiles]
    changed = len(design.texts) - design.originals
    if as_json:
        counts = {"conversations": design.originals, "changed": changed}
        print_json({**counts, "judges": [told.to_json() for told in found]})
    note(f"{design.originals:,} conversations, and {changed:,} changed ones")
    for told in found:
        most = "at most " if told.at_most or settings.guard is not None else ""
        stored = f" ({told.stored:,} more are in the ledger)" if told.stored else ""
        cost = f", at most {told.cost:,.4f} by the profile's prices" if told.cost is not None else ""
        note(
            f"judge {told.profile.name} ({told.profile.backend}): {most}{told.requests:,} requests{stored}, about "
            f"{told.input_tokens:,} tokens in and at most {told.output_tokens:,} out{cost}; the texts would go to "
            f"{told.profile.destination}"
        )
    note("nothing was sent")


def _run(
    design: Design,
    rubric: Rubric,
    profiles: Sequence[JudgeProfile],
    tried: Any,
    settings: Settings,
    tolerance: float | None,
    unsteady: float,
    seed: int,
    order: bool,
) -> ProbeReport:
    from kardia.cli.stopping import stoppable
    from kardia.engine.halt import Halt
    from kardia.probe.running import probed

    settings.halt = Halt()
    total = len(profiles) * (len(design.texts) + (design.originals if any(p.name == "retest" for p in tried) else 0))
    with stoppable(settings.halt), _progress(total) as watch:
        return probed(
            design,
            rubric,
            profiles,
            tried,
            settings,
            tolerance=tolerance,
            unsteady=unsteady,
            seed=seed,
            order=order,
            watch=watch,
        )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr; nothing where stderr is no terminal."""
    import sys

    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kardia.cli.terminal import stderr

    columns = (TextColumn("probing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task("probing", total=total)
        yield lambda: progress.update(task, advance=1)


def _missed(report: ProbeReport, most: float | None, by_interval: bool) -> list[str]:
    """The judges on which more attacks succeed than was stated; also those of which it cannot be told."""
    if most is None:
        return []
    missed = []
    for judge in report.judges:
        told = judge.attack_success
        figure = told.high if by_interval else told.value
        if figure is None or figure > most:
            missed.append(judge.name)
    return missed


def _print_spent(settings: Settings) -> None:
    from kardia.cli.terminal import note

    spent = settings.office.spent
    parts = [f"{spent.requests:,} requests"]
    if spent.stored:
        parts.append(f"{spent.stored:,} answers from the ledger")
    if spent.input_tokens or spent.output_tokens:
        parts.append(f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out")
    if spent.cost is not None:
        parts.append(f"cost {spent.cost:.4f}")
    note(", ".join(parts))
