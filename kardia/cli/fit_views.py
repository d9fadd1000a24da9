"""What `kardia fit` does and shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kardia.cli.jsonfile import check_json_file
from kardia.cli.terminal import note, number, print_json, stdout, table

if TYPE_CHECKING:
    from kardia.fitting.cards import Cards, Subject
    from kardia.fitting.paired import Text
    from kardia.fitting.report import Fit
    from kardia.fitting.table import Rated
    from kardia.fitting.weights import Kind

__all__ = ["Asked", "calibration_view", "gating_view", "weights_view"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the three commands have in common, as on the command line."""

    scores: str
    rubric: str
    output: Path
    over: str
    conversations: str | None
    mapping: str | None
    folds: int
    seed: int
    as_json: bool


def weights_view(
    asked: Asked,
    ratings: str,
    span: str,
    overall: str,
    annotator: str | None,
    kind: Kind,
    nonnegative: bool,
) -> None:
    """`kardia fit weights`."""
    from kardia.fitting.weights import fit_weights

    cards, subject, rows = _rated(asked, ratings, span, overall, annotator)
    fit = fit_weights(rows, cards, subject, kind=kind, nonnegative=nonnegative, folds=asked.folds, seed=asked.seed)
    _finish(asked, fit, subject)


def calibration_view(asked: Asked, ratings: str, span: str, overall: str, annotator: str | None, hidden: int) -> None:
    """`kardia fit calibration`."""
    from kardia.fitting.calibration import fit_calibration

    cards, subject, rows = _rated(asked, ratings, span, overall, annotator)
    fit = fit_calibration(rows, cards, subject, hidden=hidden, folds=asked.folds, seed=asked.seed)
    _finish(asked, fit, subject)


def gating_view(asked: Asked, pairs: str, encoder: str, hidden: int) -> None:
    """`kardia fit gating`."""
    from kardia.fitting.cards import counted_shares, load_subject, read_cards
    from kardia.fitting.gating import fit_gating
    from kardia.fitting.paired import paired
    from kardia.fitting.ratings import read_pairs
    from kardia.fitting.validation import needs
    from kardia.judge import load_profile
    from kardia.vectors import encoder_id

    needs("torch", "transformers", "scipy", "threadpoolctl")
    check_json_file(asked.output, asked.scores, asked.rubric, pairs, asked.conversations)
    subject = load_subject(asked.rubric)
    cards = read_cards(asked.scores, subject)
    given = read_pairs(pairs)
    texts = _texts(asked, cards, subject)
    embeds = encoder_id(load_profile(encoder))
    shares = counted_shares(subject.rubric, asked.over)
    note(f"embedding {len({text.prompt for text in texts.values()}):,} prompts")
    data = paired(cards, given, texts, shares, subject, embeds, pairs)
    for why, count in data.pairs_left_out.items():
        note(f"{count:,} pairs are left out: {why}")
    fit = fit_gating(data, cards, subject, embeds, hidden=hidden, folds=asked.folds, seed=asked.seed)
    _finish(asked, fit, subject)


def _rated(asked: Asked, ratings: str, span: str, overall: str, annotator: str | None) -> tuple[Cards, Subject, Rated]:
    from kardia.fitting.cards import counted_shares, load_subject, read_cards
    from kardia.fitting.ratings import parse_range, read_ratings
    from kardia.fitting.table import rated
    from kardia.fitting.validation import needs

    needs("numpy", "scipy", "threadpoolctl")
    check_json_file(asked.output, asked.scores, asked.rubric, ratings, asked.conversations)
    subject = load_subject(asked.rubric)
    cards = read_cards(asked.scores, subject)
    limits = parse_range(span)
    given = read_ratings(ratings, limits, column=overall, annotator=annotator)
    prompts = None
    if asked.conversations is not None:
        prompts = {key: text.prompt for key, text in _texts(asked, cards, subject).items()}
    ids = tuple(counted_shares(subject.rubric, asked.over))
    rows = rated(cards, given, ids, subject, limits, prompts)
    if rows.unknown:
        note(f"{rows.unknown:,} ratings are of conversations that have no scorecard, and are left out")
    if rows.unrated:
        note(f"{rows.unrated:,} scorecards have no rating, and are left out")
    for why, count in rows.usable.left_out.items():
        note(f"{count:,} rated scorecards are left out: {why}")
    return cards, subject, rows


def _texts(asked: Asked, cards: Cards, subject: Subject) -> Mapping[str, Text]:
    """What the conversations file says of each scored conversation.

    Raises:
        InputError: where a scorecard's conversation is not in it.
    """
    from kardia.errors import InputError
    from kardia.fitting.paired import text_of
    from kardia.reading import Source, parse_map

    found: dict[str, Text] = {}
    mapping = parse_map(asked.mapping) if asked.mapping else None
    with Source(asked.conversations or "", mapping=mapping, skip_bad=True) as source:
        for conversation in source.conversations():
            if conversation.id in cards.by_id:
                found[conversation.id] = text_of(conversation, subject.rubric)
    for key, card in cards.by_id.items():
        if key not in found:
            message = f"the conversation {key!r} is not in {asked.conversations}: name the file that was scored"
            raise InputError(message, file=cards.file, line=card.line, key="id")
    return found


def _finish(asked: Asked, fit: Fit, subject: Subject) -> None:
    """Writes the artifact, and shows what it is worth and what to paste."""
    from kardia.artifact import artifact_text
    from kardia.files import write_text
    from kardia.fitting.report import yaml_lines

    text = artifact_text(fit.artifact)
    write_text(asked.output, text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    yaml = yaml_lines(fit.artifact, asked.output, digest, subject.rubric)
    if asked.as_json:
        print_json({**fit.to_json(), "artifact": str(asked.output), "sha256": digest, "yaml": yaml})
        return
    console = stdout()
    columns = list(fit.lines[0].figures)
    console.print(fit.title + "; each predicted by a fit that has not seen it:")
    made = table(None, ("", *columns), columns)
    for line in fit.lines:
        made.add_row(line.name, *(number(line.figures[column]) for column in columns))
    console.print(made)
    if fit.inputs:
        named = list(next(iter(fit.inputs.values())))
        learned = table(None, ("input", *named), named)
        for key, values in fit.inputs.items():
            learned.add_row(key, *(number(values[column]) for column in named))
        console.print("What was learned:")
        console.print(learned)
    for remark in fit.remarks:
        console.print(remark)
    console.print(
        f"{asked.output} is written. Its place is beside the rubric's file; this goes into a new major version "
        f"of the rubric (kardia rubric bump {subject.rubric.name} --part major):\n"
    )
    print(yaml, end="")
