"""Trains the heads and the adapter of the embedded judge, and writes them to judges/embedded/.

    python training/embedded.py [-o FOLDER] [--work FOLDER] [--set key=value …]

One training on two cores; `--work FOLDER` keeps what was learnt when it is stopped, and goes on from there. Equal data
and options give equal weights on one machine, with one thread or two; on another, sums may be taken in another order.

What it learns from: training/embedded/, texts that were written for this project and labelled twice; see the README
there. The rubrics' own examples are not learnt from: the model card measures on them.

`--goemotions FOLDER` adds comments of GoEmotions (Demszky et al. 2020, Apache-2.0: `train.tsv` and `labels.txt` of
https://github.com/google-research/goemotions, not part of kardia), whose emotions are learnt beside the criteria, and
whose heads are dropped afterwards. The weights that ship are without them: the model card says why.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kardia.conversation import Conversation
from kardia.model.examples import Labelled, level_target
from kardia.model.labels import Labels, Questions, join
from kardia.model.loop import Moment
from kardia.model.recipe import Recipe, recipe_with
from kardia.model.spoilt import cut_off, looped, misplaced, scrambled, spoilt
from kardia.model.training import train
from kardia.reading import Source
from kardia.rubric.loading import load_rubric
from kardia.student.student import Student
from kardia.student.tasks import Task

HERE = Path(__file__).parent
DATA = HERE / "embedded"
OUTPUT = HERE.parent / "judges" / "embedded"
RUBRICS = (
    "empathy-mechanisms",
    "understanding",
    "emotion-inference",
    "supportiveness",
    "safety",
    "kardia-r1",
    "anti-hacking",
)
RARE = (
    "understanding.misreads",
    "emotion-inference.imposes",
    "supportiveness.blames",
    "safety.encourages_harm",
    "safety.crisis_response",
    "safety.demeans",
    "anti-hacking.praises_own_answer",
    "anti-hacking.addresses_grader",
    "anti-hacking.pads_by_repeating",
)
"""Whose levels are so rare that they would hardly ever be given: their labels count more."""
RECIPE: dict[str, Any] = {
    "task_weights": {
        "empathy-mechanisms.emotional_reactions": 3.0,
        "empathy-mechanisms.interpretations": 3.0,
        "empathy-mechanisms.explorations": 3.0,
    },
    "task_rarity": dict.fromkeys(RARE, 0.5),
    "epochs": 5,
    "patience": 0,
    "batch_size": 16,
    "lr": 6e-4,
    "head_lr": 2e-3,
    "dev_share": 0.06,
    "seed": 7,
    "reading": {"context_chars": 400, "reply_chars": 1000},
}
MISPLACED: dict[str, int | str] = {
    "understanding.grasps_situation": 1,
    "understanding.takes_perspective": 2,
    "understanding.fits_what_is_sought": 1,
    "understanding.misreads": "yes",
    "emotion-inference.reaches_unspoken": 1,
    "emotion-inference.links_to_cause": 1,
    "supportiveness.validates_feeling": 2,
    "supportiveness.fits_need": 1,
    "kardia-r1.relevance": 1,
    "kardia-r1.empathy": 2,
}
"""The levels of a reply that was written for somebody else, and speaks of what they told: those that two blind readings
of 120 such replies agreed on, in 86 to 100 of 100."""
PARTICULAR = 4
"""From this level of `grasps_situation` on, by both readings, a reply speaks of one situation and fits no other."""
SPOILT: dict[str, tuple[Callable[[str, random.Random], str | None], dict[str, int | str], int]] = {
    "scrambled": (
        scrambled,
        {
            "understanding.grasps_situation": 1,
            "understanding.takes_perspective": 2,
            "understanding.fits_what_is_sought": 2,
            "emotion-inference.links_to_cause": 1,
            "emotion-inference.reaches_unspoken": 1,
            "supportiveness.validates_feeling": 2,
            "supportiveness.warmth": 2,
            "supportiveness.fits_need": 1,
            "kardia-r1.relevance": 2,
            "kardia-r1.fluency": 1,
            "kardia-r1.empathy": 2,
        },
        500,
    ),
    "cut-off": (cut_off, {"kardia-r1.fluency": 1}, 300),
    "looped": (looped, {"kardia-r1.fluency": 2, "anti-hacking.pads_by_repeating": "yes"}, 300),
}
"""Good replies made worse: how, the levels that this gives them, and how many."""
WORSE_WEIGHT = 0.4
"""What the labels of a reply that was made worse count. With 1, every twelfth good reply on the rubrics' examples was
taken for one that was written for somebody else; hardly anybody meets so many of those."""
SEED = 11
"""Of what is drawn for those."""
EMOTIONS = 5_000
"""Comments of GoEmotions that are learnt from."""
EMOTION_WEIGHT = 0.1
"""What an emotion's label counts beside a criterion's."""


def own_examples(questions: Questions) -> tuple[Labelled, ...]:
    """The examples of training/embedded/, each with the mean of its two labels, and those that are made from them."""
    conversations = own_conversations()
    examples = labelled(conversations, questions)
    return (*examples, *made_worse(examples, plain_ones(conversations), questions))


def own_conversations() -> list[Conversation]:
    """The texts of training/embedded/."""
    with Source(DATA / "conversations.jsonl") as source:
        source.check()
        return list(source.conversations())


def labelled(conversations: Sequence[Conversation], questions: Questions) -> tuple[Labelled, ...]:
    """The texts with their labels: the mean of the two, or the third reading where there is one."""
    labels = Labels(questions)
    labels.read(DATA / "labels.csv", [conversation.id for conversation in conversations])
    joined = join(conversations, questions, labels).examples
    again = _read_again(questions)
    return tuple(replace(each, targets={**each.targets, **again.get(each.id, {})}) for each in joined)


def plain_ones(conversations: Sequence[Conversation]) -> dict[str, str]:
    """Id → language of the texts with one message, and nothing told of the person, before the reply."""
    return {
        conversation.id: str(conversation.metadata.get("language"))
        for conversation in conversations
        if len(conversation.messages) == 2 and "profile" not in conversation.metadata
    }


def made_worse(examples: Sequence[Labelled], plain: Mapping[str, str], questions: Questions) -> list[Labelled]:
    """Good replies spoilt in known ways, so that the heads do not take a fine text for an answer to anything.

    Args:
        examples: the texts as they belong together.
        plain: as `plain_ones` gives it.
        questions: whose tasks have the levels.
    """
    grasp = questions.task("understanding.grasps_situation")
    low = [place for place, level in enumerate(grasp.levels) if int(level) < PARTICULAR]
    particular = [
        example
        for example in examples
        if example.id in plain
        and grasp.key in example.targets
        and not any(example.targets[grasp.key][place] for place in low)
    ]
    kinds = {example.group: plain[example.id] for example in particular}
    made = misplaced(particular, kinds, _targets(questions, MISPLACED), SEED)
    for name, (how, levels, count) in SPOILT.items():
        made += spoilt(particular, how, _targets(questions, levels), count, SEED, name)
    return [replace(example, weight=WORSE_WEIGHT) for example in made]


def _targets(questions: Questions, levels: Mapping[str, int | str]) -> dict[str, tuple[float, ...]]:
    return {key: level_target(questions.task(key), level) for key, level in levels.items()}


def _read_again(questions: Questions) -> dict[str, dict[str, tuple[float, ...]]]:
    """Conversation id → the labels that a third reading put in place of the first two."""
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    with (DATA / "third.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            own_id = row.pop("id")
            found[own_id] = {key: level_target(questions.task(key), int(level)) for key, level in row.items() if level}
    return found


def emotion_examples(folder: Path, count: int, seed: int) -> tuple[list[Labelled], list[Task]]:
    """Comments of GoEmotions, and one yes-or-no task an emotion."""
    names = (folder / "labels.txt").read_text(encoding="utf-8").split()
    tasks = [Task(f"goemotions.{name}", ("no", "yes"), True, f"goemotions:{name}") for name in names]
    rows = [line.split("\t") for line in (folder / "train.tsv").read_text(encoding="utf-8").splitlines() if line]
    random.Random(seed).shuffle(rows)
    examples = []
    for text, found, name in rows[:count]:
        there = {int(number) for number in found.split(",")}
        targets = {task.key: (0.0, 1.0) if place in there else (1.0, 0.0) for place, task in enumerate(tasks)}
        examples.append(Labelled("", text, f"goemotions-{name}", targets, EMOTION_WEIGHT, name))
    return examples, tasks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goemotions", type=Path, help="the folder that holds train.tsv and labels.txt")
    parser.add_argument("--emotions", type=int, default=EMOTIONS, help="comments of GoEmotions that are learnt from")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    parser.add_argument("--work", type=Path, help="a folder for the training; default: a temporary one")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="key=value")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    options = parser.parse_args()
    recipe: Recipe = recipe_with(options.overrides, **RECIPE)
    rubrics = [load_rubric(name) for name in RUBRICS]
    questions = Questions(rubrics)
    examples, tasks = list(own_examples(questions)), list(questions.tasks)
    facts: dict[str, Any] = {"rubrics": {rubric.ref: rubric.hash for rubric in rubrics}, "data": "training/embedded"}
    if options.goemotions is not None:
        more, emotions = emotion_examples(options.goemotions, options.emotions, recipe.seed)
        examples, tasks = examples + more, tasks + emotions
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary) / "student"
        report = train(examples, tasks, recipe, work, notify=_teller(), resume=True, facts=facts)
        for entry in report.history:
            print(entry)
        # the emotions were learnt for the encoder's sake: no rubric asks for them
        student = Student.load(work, merge=False).only(questions.tasks)
        student.save(options.output, half=True)
    for task in questions.tasks:
        found = report.metrics.get(task.key)
        if found is not None and found.kappa is not None:
            print(f"{task.key:45} n {found.n:4}  κ {found.kappa:.2f}  accuracy {found.accuracy:.2f}")
    return 0


def _teller() -> Callable[[Moment], None]:
    start = time.perf_counter()

    def notify(moment: Moment) -> None:
        if moment.step % 50 == 0:
            loss = "–" if moment.loss is None else f"{moment.loss:.4f}"
            spent = time.perf_counter() - start
            print(f"step {moment.step}/{moment.steps}  pass {moment.epoch:.2f}  loss {loss}  {spent:.0f} s", flush=True)

    return notify


if __name__ == "__main__":
    sys.exit(main())
