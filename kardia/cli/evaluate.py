"""`kardia evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kardia.cli.options import Ledger, Map, MaxCost, MaxRequests, SkipBad

if TYPE_CHECKING:
    from kardia.policy.evaluation import Evaluation
    from kardia.policy.forecast import Forecast
    from kardia.policy.heldout import Asking
    from kardia.policy.outcome import Outcome

__all__ = ["evaluate"]


class Form(str, Enum):
    """What the rows of the data look like."""

    conversations = "conversations"
    kardiabench = "kardiabench"
    esconv = "esconv"


class Turns(str, Enum):
    """Which of the assistant's turns are replied to."""

    last = "last"
    every = "every"


class Tags(str, Enum):
    """How the tags of spans are written."""

    bar = "bar"
    angle = "angle"
    any = "any"


class Tell(str, Enum):
    """What of a row's metadata policies are told."""

    profile = "profile"
    situation = "situation"


def evaluate(
    policies: Annotated[
        list[str],
        typer.Argument(
            metavar="POLICY...",
            help="A folder or hub name of a model or an adapter, a judge profile whose model writes, a file of "
            "replies, or `reference`: the replies in the data. NAME=POLICY gives it a name. The others are compared "
            "with the first.",
        ),
    ],
    data: Annotated[str, typer.Option("--data", help="Held-out conversations: JSONL, JSON, CSV or Parquet.")],
    rubric: Annotated[list[str], typer.Option("--rubric", "-r", help="Name, name@version, or path. Repeatable.")],
    judge: Annotated[
        str | None,
        typer.Option("--judge", "-j", help="Profile name or path. Default: $KARDIA_JUDGE, else embedded."),
    ] = None,
    second_judge: Annotated[
        str | None, typer.Option("--second-judge", help="Scores it all once more: is only the first one pleased?")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder for replies, scorecards and tables.")
    ] = Path("evaluation"),
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="Ask policies as this training recipe does: system message, spans, tags."),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system", help="What policies are told first: auto (the four spans), none, or a text file. Default: none."
        ),
    ] = None,
    tell: Annotated[
        list[Tell] | None, typer.Option("--tell", help="What of a row's metadata they are told. Repeatable.")
    ] = None,
    tags: Annotated[Tags | None, typer.Option("--tags", help="How tags are written. Default: any.")] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="The words that are emotions: sad,angry. Default: 32 of them.")
    ] = None,
    format: Annotated[Form | None, typer.Option("--format", help="What the rows are. Default: conversations.")] = None,
    turns: Annotated[
        Turns | None, typer.Option("--turns", help="Reply to the last turn, or to every. Default: by --format.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", help="The metadata's key of rows that belong together. Default: the conversation."),
    ] = None,
    map_: Map = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N rows.")] = None,
    skip_bad: SkipBad = False,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Replies to each prompt.")] = 1,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", min=0, max=2, help="Default: the profile's, else 0: the likeliest words."),
    ] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", min=0.01, max=1, help="Default: the profile's, else 1.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Default: the profile's, else 7.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="The longest reply. Default: the profile's, else 512.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Prompts that a model here continues at a time.")
    ] = 8,
    device: Annotated[
        str | None, typer.Option("--device", help="Of models here: auto, cpu, cuda, cuda:1, mps.")
    ] = None,
    no_thinking: Annotated[
        bool, typer.Option("--no-thinking", help="Switch off the thinking of models here, where they know how to.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override the judge's profile: sampling.temperature=1. Repeatable."),
    ] = None,
    ledger: Ledger = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask judges again, whatever the ledger holds.")] = False,
    regenerate: Annotated[bool, typer.Option("--regenerate", help="Write replies again that are kept.")] = False,
    max_requests: MaxRequests = None,
    max_cost: MaxCost = None,
    no_text: Annotated[
        bool, typer.Option("--no-text", help="Leave texts out of the scorecards. Replies are kept all the same.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print the table as LaTeX.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written and asked, of whom, and stop.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Abstentions count as unscored in the exit code.")] = False,
) -> None:
    """Let policies reply to held-out conversations, and score the replies: one table, several policies.

    Emotion accuracy, the rubric's criteria and score, format, length, distinct-2 and the share without a score, each
    with a 95 % interval, and the paired differences to the first policy. Replies are kept in the output folder: another
    rubric or judge regenerates nothing, and a run that was stopped goes on. Exit code 0: all scored; 1: something is
    unscored; 2: input or configuration is wrong; 3: a model or judge could not be reached, or the budget is used up;
    130: interrupted.

    Example:  kardia evaluate reference --data examples/conversations.jsonl --rubric kardia-r1
    """
    from kardia.errors import InputError
    from kardia.policy.evaluation import Evaluation, Options
    from kardia.policy.writers import Writing

    if latex and as_json:
        raise InputError("goes without --json: one table is printed", file="--latex")
    asking = _asking(
        recipe,
        labels,
        group_by,
        {
            "system": _system(system),
            "tell": None if tell is None else [each.value for each in tell],
            "tags": tags,
            "format": format,
            "turns": turns,
            "map": map_,
            "limit": limit,
            "skip_bad": skip_bad or None,
        },
        plain=system == "none",
    )
    writing = Writing(
        temperature, top_p, seed, max_tokens, samples, batch_size, device, thinking=False if no_thinking else None
    )
    options = Options(asking, writing, output, regenerate, not no_text, ledger, fresh, max_requests, max_cost)
    evaluation = Evaluation.prepare(
        policies, data, rubric, judge, second_judge=second_judge, overrides=set_ or [], options=options
    )
    _announce(evaluation)
    if dry_run:
        from kardia.policy.forecast import forecast

        _forecast(forecast(evaluation), as_json)
        return
    outcome = _run(evaluation)
    _print(evaluation, outcome, latex, as_json)
    if outcome.unscored or (strict and outcome.abstained):
        raise typer.Exit(1)


def _system(given: str | None) -> str | None:
    """The system message's text; `auto` as it is."""
    from kardia.errors import InputError

    if given in (None, "auto", "none"):
        return given if given == "auto" else None
    assert given is not None
    try:
        return Path(given).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"there is no text file {given}; `auto` asks for the four spans, `none` says nothing", file="--system"
        ) from None


def _asking(
    recipe: str | None, labels: str | None, group_by: str | None, given: dict[str, Any], *, plain: bool
) -> Asking:
    from kardia.errors import InputError
    from kardia.policy.heldout import Asking
    from kardia.policy.recipe import DataSpec
    from kardia.reading import parse_map
    from kardia.reward.terms.emotions import EMOTIONS

    if given["map"] is not None:
        given["map"] = parse_map(given["map"])
    wanted = {key: value.value if isinstance(value, Enum) else value for key, value in given.items()}
    wanted = {key: value for key, value in wanted.items() if value is not None}
    named = tuple(label.strip() for label in labels.split(",")) if labels is not None else None
    if named is not None and not all(named):
        raise InputError(f"{labels!r} is no list of words such as sad,angry", file="--labels")
    known: dict[str, Any] = {"system": None, "tags": "any"}
    told: tuple[str, ...] | None = None
    if recipe is not None:
        from kardia.policy.recipes import load_recipe, reward_of
        from kardia.policy.wording import labels_of

        loaded = load_recipe(recipe)
        keys = {"system", "spans", "tags", "tell", "format", "turns", "map"}
        known = loaded.data.model_dump(include=keys, exclude_unset=False)
        told = labels_of(reward_of(loaded))
        named = named or told or None
    if plain:
        known["system"] = None
    return Asking(DataSpec.model_validate({**known, **wanted}), named or EMOTIONS, told, group_by)


def _announce(evaluation: Evaluation) -> None:
    from kardia.cli.terminal import note

    held_out = evaluation.held_out
    if held_out.bad:
        note(f"{held_out.bad:,} bad rows are left out")
    if held_out.silent:
        note(f"{held_out.silent:,} conversations in which nobody says anything before a reply are left out")


def _forecast(found: Forecast, as_json: bool) -> None:
    from kardia.cli.terminal import note, print_json

    if as_json:
        print_json(found.to_json())
    for each in found.writing:
        name, kept = each.policy.name, f"{each.kept:,} replies are there already" if each.kept else ""
        if not each.replies:
            note(f"{name}: {kept or 'nothing to write'}")
            continue
        cost = f", at most {each.cost:,.4f} by the profile's prices" if each.cost is not None else ""
        note(
            f"{name}: {each.replies:,} replies to write, about {each.input_tokens:,} tokens in and at most "
            f"{each.output_tokens:,} out{cost}; the prompts would go to {each.policy.identity.destination}"
            + (f"; {kept}" if kept else "")
        )
    for asked in found.asking:
        told = asked.estimate
        most = "at most " if told.at_most else ""
        stored = f" ({told.stored:,} more are in the ledger)" if told.stored else ""
        cost = f", at most {told.cost:,.4f} by the profile's prices" if told.cost is not None else ""
        note(
            f"judge {asked.judge}: {most}{told.requests:,} requests{stored}, about {told.input_tokens:,} tokens in and "
            f"at most {told.output_tokens:,} out{cost}; the texts would go to {asked.profile.destination}"
        )
    note("nothing was written, nothing was sent")


def _run(evaluation: Evaluation) -> Outcome:
    from kardia.cli.stopping import stoppable

    with stoppable(evaluation.halt, "what is under way is finished, and kept"), _progress() as told:
        return evaluation.run(told)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], object]]:
    """A bar on stderr for each thing that is done; nothing where stderr is no terminal."""
    import sys

    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kardia.cli.terminal import stderr

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr(), transient=True) as progress:
        tasks: dict[str, Any] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        yield told


def _print(evaluation: Evaluation, outcome: Outcome, latex: bool, as_json: bool) -> None:
    from kardia.cli.terminal import note, print_json
    from kardia.policy.measures import EMOTION
    from kardia.policy.tables import to_latex, to_markdown

    found, spent = outcome.comparison, outcome.spent
    if as_json:
        print_json(found.to_json())
    else:
        typer.echo(to_latex(found) if latex else to_markdown(found), nl=False)
    if outcome.first_error:
        note(f"the first unscored one: {' '.join(outcome.first_error.split())[:400]}")
    silent = [each.name for each in found.policies if (told := each.means.get(EMOTION)) and told.mean is None]
    if silent and not evaluation.options.asking.asks_for_spans:
        note(
            f"no emotion can be read from {', '.join(silent)}: no reply has an <emotion> span, or no row says which is "
            "right (--system auto asks for the spans)"
        )
    parts = [f"{outcome.written:,} replies written, {outcome.kept:,} kept ones found", f"{spent.requests:,} requests"]
    if spent.stored:
        parts.append(f"{spent.stored:,} answers from the ledger")
    if spent.input_tokens or spent.output_tokens:
        parts.append(f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out")
    if spent.cost is not None:
        parts.append(f"cost {spent.cost:.4f}")
    note("; ".join(parts))
    note(f"replies, scorecards and tables are in {evaluation.options.output}")
