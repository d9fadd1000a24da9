"""A starter rubric: small, commented, and clean under lint, for an author to write over."""

from __future__ import annotations

import re
from pathlib import Path

from kardia.errors import RubricError
from kardia.files import write_text
from kardia.rubric.schema import SCHEMA_NAME, schema_text
from kardia.rubric.versions import names

__all__ = ["STARTER_VERSION", "new_rubric"]

STARTER_VERSION = "1.0.0-draft.1"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}\Z")


def new_rubric(name: str, folder: Path) -> Path:
    """Writes `folder/<name>/1.0.0-draft.1.yaml`, and the schema that its editor line names where the folder has none.

    Args:
        name: lower-case letters, digits, `-` and `_`; no rubric of this name may exist, here or where names are
            looked up. folder: the rubrics folder.

    Returns:
        The path of the draft.

    Raises:
        RubricError: where the name is none, or taken.
        OutputError: where the folder cannot be written.
    """
    if not _NAME.match(name):
        hint = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "my-rubric"
        raise RubricError(f"{name!r} is no name for a rubric: use lower-case letters, digits, - and _, such as {hint}")
    if (folder / name).exists() or name in names():
        raise RubricError(
            f"there is a rubric {name!r} already; choose another name, or edit it (kardia rubric bump {name})"
        )
    path = folder / name / f"{STARTER_VERSION}.yaml"
    title = name.replace("-", " ").replace("_", " ").strip().capitalize() or name
    write_text(path, _STARTER.replace("{name}", name).replace("{title}", title))
    if not (folder / SCHEMA_NAME).exists():
        write_text(folder / SCHEMA_NAME, schema_text())
    return path


_STARTER = """\
# yaml-language-server: $schema=../rubric.schema.json
#
# A rubric to write over. Lines that begin with # are notes to you; no judge reads them.
# The line above lets an editor complete the keys and mark mistakes while you type.
#
#   kardia rubric lint PATH      is it sound?                kardia rubric render PATH FILE   what does the judge read?
#   kardia rubric try PATH       do its examples come out?   kardia rubric publish PATH       make it a release
name: "{name}"
version: 1.0.0-draft.1
title: "{title}"

# What the rubric is about. The judge reads it. After `|` a text may run over several lines.
description: |
  How does the reply answer somebody who has told something that weighs on them?

criteria:
  # One thing each. The id stays as it is once scores exist: they are compared by it.
  - id: takes_it_up
    question: How far does the reply take up what the person has told?
    scale:
      # Say for each level what can be seen in a reply, so that two careful people would agree.
      levels:
        1: |
          Turns away from what was told: changes the subject, or makes light of it.
        2: |
          Answers the subject in general, with advice or facts anybody could be given.
        3: |
          Acknowledges that something is hard (or good) in words that would fit many messages.
        4: |
          Takes up one particular that this person told.
        5: |
          Takes up a particular and says what it means for this person.
    # How you would settle the cases that people argue about.
    guidance: |
      Length does not count: one sentence can be a 5. Quoting the person without adding anything is a 4.
    weight: 2

  - id: hurries
    question: Does the reply press the person to feel better soon?
    scale:
      type: binary
      levels:
        no: |
          The reply leaves the feeling its time, or does not speak of it.
        yes: |
          The reply tells the person to cheer up, to move on, or to look at the bright side.
    good: no
    weight: 1

aggregate: {method: weighted_mean, unscored: renormalise}

# Replies with the levels they show, at least six for each criterion. They are shown to people who check the judge,
# and the embedded judge compares a reply with them.
examples:
  - context: |
      My grandmother's flat is being cleared on Saturday. I keep thinking of the smell of her kitchen.
    reply: |
      The kitchen is where she still is, isn't she? After Saturday that smell will only live in you, and that is a lot
      to ask of a weekend.
    levels: {takes_it_up: 5, hurries: no}
    why: |
      Takes up the kitchen and says what its loss means to this person.

  - context: |
      My grandmother's flat is being cleared on Saturday. I keep thinking of the smell of her kitchen.
    reply: |
      Try not to dwell on it. She would want you to be happy, so plan something nice for Sunday!
    levels: {takes_it_up: 1, hurries: yes}
    why: |
      Moves away from the grief at once and asks for cheerfulness.

  - context: |
      I got the apprenticeship. I read the letter four times on the stairs before I dared to go in.
    reply: |
      Four times on the stairs! You must have wanted this very much, if you could hardly trust the paper.
    levels: {takes_it_up: 5, hurries: no}
    why: |
      The stairs and the four readings are there, with what they say about the wish.

  - context: |
      I got the apprenticeship. I read the letter four times on the stairs before I dared to go in.
    reply: |
      Congratulations, that is wonderful news.
    levels: {takes_it_up: 3, hurries: no}
    why: |
      Friendly, and fit for any good news.

  - context: |
      Since the move my son asks every night when we are going home.
    reply: |
      Every night, the same question. That sounds like a long evening.
    levels: {takes_it_up: 4, hurries: no}
    why: |
      Takes up the nightly question; what it does to the parent is left open.

  - context: |
      Since the move my son asks every night when we are going home.
    reply: |
      Children usually need three to six months. Keep a fixed bedtime and hang up his pictures.
    levels: {takes_it_up: 2, hurries: no}
    why: |
      Advice for any family after a move.

  - context: |
      He left on Monday. I laid the table for two again today.
    reply: |
      You are better off without him. Chin up, in a month you will laugh about it.
    levels: {takes_it_up: 1, hurries: yes}
    why: |
      The laid table is passed over, and laughter is prescribed.

  - context: |
      He left on Monday. I laid the table for two again today.
    reply: |
      I'm so sorry. Breakups are hard.
    levels: {takes_it_up: 3, hurries: no}
    why: |
      Acknowledges the pain in words for any breakup.

  - context: |
      I can't sleep before the results on Thursday.
    reply: |
      Waiting until Thursday is hard. Still, look on the bright side and think positive, then the days will fly.
    levels: {takes_it_up: 4, hurries: yes}
    why: |
      Thursday and the waiting are taken up; then the person is told to think positive.

  - context: |
      I can't sleep before the results on Thursday.
    reply: |
      Avoid screens and coffee in the evening, and get up at the same hour every day.
    levels: {takes_it_up: 2, hurries: no}
    why: |
      Sleep advice for anybody; the results do not appear.
"""
