"""The launcher that trains the embedded judge's heads, on a tiny backbone and a part of the data; and the data."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kardia.errors import InputError
from kardia.model.examples import Labelled, components, level_target
from kardia.model.labels import Questions
from kardia.model.loop import Moment
from kardia.rubric.loading import load_rubric
from kardia.student.manifest import Taught, read_manifest
from kardia.student.scorer import Scorer
from kardia.student.tasks import Task

from .launchers import launcher

np = pytest.importorskip("numpy", reason="training needs kardia[local]")
for needed in ("torch", "transformers", "peft", "accelerate"):
    pytest.importorskip(needed, reason="training needs kardia[local]")

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "training" / "embedded"
RATERS = ("first", "second")


@pytest.fixture(scope="module", autouse=True)
def _on_one_thread(one_thread: None) -> None: ...


LAUNCHER = launcher("embedded")
QUESTIONS = Questions([load_rubric(name) for name in LAUNCHER.RUBRICS])
KEYS = [task.key for task in QUESTIONS.tasks]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def level_of(task: Task, text: str) -> tuple[float, ...]:
    """A cell of a table as a target."""
    return tuple(float(str(level) == text) for level in task.levels)


def is_worse(example: Labelled) -> bool:
    """Whether it is a reply that was made worse: its id has a fourth part."""
    return example.id.count("-") > 2


# --- the data --------------------------------------------------------------------------------------------------------


class TestTheData:
    def test_every_reply_is_labelled_twice(self) -> None:
        ids = [row["id"] for row in lines(REAL / "conversations.jsonl")]
        assert len(ids) == len(set(ids)) >= 1500
        labels = table(REAL / "labels.csv")
        assert len(labels) == len(RATERS) * len(ids)
        assert {(row["id"], row["rater"]) for row in labels} == {(own_id, rater) for own_id in ids for rater in RATERS}
        assert list(labels[0])[2:] == KEYS
        third = [row["id"] for row in table(REAL / "third.csv")]
        assert len(third) == len(set(third))
        assert set(third) <= set(ids)

    def test_a_reply_is_one_that_is_read_whole(self) -> None:
        read = LAUNCHER.recipe_with([], **LAUNCHER.RECIPE).reading
        for row in lines(REAL / "conversations.jsonl"):
            last = row["messages"][-1]
            assert last["role"] == "assistant", row["id"]
            assert 0 < len(last["content"].split()) <= 220, row["id"]
            assert len(last["content"]) <= read.reply_chars, row["id"]
            assert row["metadata"]["group"], row["id"]

    def test_all_of_it_is_learnt_from(self) -> None:
        found = [each for each in LAUNCHER.own_examples(QUESTIONS) if not is_worse(each)]
        rows = {row["id"]: row for row in lines(REAL / "conversations.jsonl")}
        # an <emotion> without a <response>: a structured reply that lacks the part that is judged
        assert rows.keys() - {each.id for each in found} <= {"a1-044-2"}
        assert [(each.id, each.group, each.reply) for each in found] == [
            (each.id, rows[each.id]["metadata"]["group"], rows[each.id]["messages"][-1]["content"]) for each in found
        ]
        assert len(found) == len({each.id for each in found})
        shown = {key: np.sum([each.targets[key] for each in found if key in each.targets], axis=0) for key in KEYS}
        assert all((shares >= 5).all() for shares in shown.values()), shown  # every level of every criterion

    def test_good_replies_are_made_worse_in_known_ways(self) -> None:
        every = LAUNCHER.own_examples(QUESTIONS)
        worse = [each for each in every if is_worse(each)]
        counted = Counter(each.id.split("-", 3)[-1] for each in worse)
        assert counted["misplaced"] > 1000
        assert {name: counted[name] for name in LAUNCHER.SPOILT} == {
            name: count for name, (_, _, count) in LAUNCHER.SPOILT.items()
        }
        contexts = {each.id: each.context for each in every if not is_worse(each)}
        for each in worse:
            own_id, name = "-".join(each.id.split("-", 3)[:3]), each.id.split("-", 3)[-1]
            assert each.weight == LAUNCHER.WORSE_WEIGHT
            assert (each.context != contexts[own_id]) == (name == "misplaced")
        # partners two by two: a split need not keep many groups together
        assert max(len(part) for part in components(every)) < len(every) / 100


# --- a part of it ----------------------------------------------------------------------------------------------------


def part(folder: Path) -> Path:
    """A copy of the data, but only as many rows as show every level of every criterion in two groups, and a few with
    labels of the mechanisms alone."""
    rows, labels, third = lines(REAL / "conversations.jsonl"), table(REAL / "labels.csv"), table(REAL / "third.csv")
    said: dict[str, set[tuple[str, str]]] = {}
    for row in labels:
        said.setdefault(row["id"], set()).update((key, row[key]) for key in KEYS if row[key])
    mechanisms = [row["id"] for row in rows if len({key for key, _ in said[row["id"]]}) == 3]
    chosen = set(mechanisms[:6]) | {row["id"] for row in third[:4]}
    seen: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        group = row["metadata"]["group"]
        if row["id"] in chosen or any(len(seen.get(each, {group}) - {group}) < 2 for each in said[row["id"]]):
            chosen.add(row["id"])
            for each in said[row["id"]]:
                seen.setdefault(each, set()).add(group)
    assert 60 < len(chosen) < 200
    kept = (json.dumps(row) for row in rows if row["id"] in chosen)
    (folder / "conversations.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    for name, found in (("labels.csv", labels), ("third.csv", third)):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(found[0]))
            writer.writeheader()
            writer.writerows(row for row in found if row["id"] in chosen)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return part(tmp_path_factory.mktemp("data"))


@pytest.fixture
def examples(data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Labelled]:
    monkeypatch.setattr(LAUNCHER, "DATA", data)
    return {each.id: each for each in LAUNCHER.own_examples(QUESTIONS) if not is_worse(each)}


def labelled_twice(folder: Path, own_id: str) -> dict[str, tuple[float, ...]]:
    """The mean of a reply's labels, as its two rows have them."""
    rows = [row for row in table(folder / "labels.csv") if row["id"] == own_id]
    found: dict[str, tuple[float, ...]] = {}
    for task in QUESTIONS.tasks:
        votes = [level_of(task, row[task.key]) for row in rows if row[task.key]]
        if votes:
            found[task.key] = tuple(sum(column) / len(votes) for column in zip(*votes, strict=True))
    return found


class TestLabels:
    def test_two_labels_make_their_mean(self, data: Path, examples: dict[str, Labelled]) -> None:
        again = {(row["id"], key) for row in table(data / "third.csv") for key in KEYS if row.get(key)}
        differ = 0
        for own_id, example in examples.items():
            wanted = labelled_twice(data, own_id)
            assert set(example.targets) == set(wanted)
            for key in set(wanted) - {key for other, key in again if other == own_id}:
                assert example.targets[key] == wanted[key]
                differ += 0.5 in wanted[key]
        assert differ > 10
        assert sum(len(example.targets) == 3 for example in examples.values()) > 3
        assert {row["id"] for row in table(data / "labels.csv")} == set(examples)

    def test_a_third_reading_stands_in_place_of_both(self, data: Path, examples: dict[str, Labelled]) -> None:
        read = changed = 0
        for row in table(data / "third.csv"):
            for key in KEYS:
                if row.get(key):
                    target = examples[row["id"]].targets[key]
                    assert target == level_of(QUESTIONS.task(key), row[key])
                    read += 1
                    changed += target != labelled_twice(data, row["id"])[key]
        assert read >= 4
        assert changed >= 2

    def test_an_empty_cell_of_it_changes_nothing(
        self, tmp_path: Path, examples: dict[str, Labelled], data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("conversations.jsonl", "labels.csv"):
            (tmp_path / name).write_bytes((data / name).read_bytes())
        own_id = next(iter(examples))
        key = "empathy-mechanisms.explorations"
        (tmp_path / "third.csv").write_text(f"id,empathy-mechanisms.interpretations,{key}\n{own_id},,2\n")
        monkeypatch.setattr(LAUNCHER, "DATA", tmp_path)
        found = {each.id: each for each in LAUNCHER.own_examples(QUESTIONS)}
        target = level_target(QUESTIONS.task(key), 2)
        assert target == (0.0, 0.0, 1.0)
        assert found[own_id].targets == {**labelled_twice(data, own_id), key: target}

    def test_a_level_off_the_scale(
        self, tmp_path: Path, data: Path, examples: dict[str, Labelled], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("conversations.jsonl", "labels.csv", "third.csv"):
            (tmp_path / name).write_bytes((data / name).read_bytes())
        own_id = next(iter(examples))
        text = (data / "labels.csv").read_text(encoding="utf-8").replace(f"{own_id},first,", f"{own_id},first,9", 1)
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        monkeypatch.setattr(LAUNCHER, "DATA", tmp_path)
        with pytest.raises(InputError, match=r"labels\.csv:2: empathy-mechanisms\.emotional_reactions"):
            LAUNCHER.own_examples(QUESTIONS)


# --- comments with emotions ------------------------------------------------------------------------------------------

EMOTIONS = ("anger", "joy", "neutral")
COMMENTS = [("your fault", "0"), ("sorry you hurt", "2"), ("tell me more", "1"), ("why, that hurts", "0,1")]


@pytest.fixture(scope="module")
def goemotions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("goemotions")
    (folder / "labels.txt").write_text("\n".join(EMOTIONS) + "\n")
    rows = [f"{text} {number}\t{found}\tid{number}-{found}" for number in range(8) for text, found in COMMENTS]
    (folder / "train.tsv").write_text("\n".join(rows) + "\n")
    return folder


class TestEmotions:
    def test_every_emotion_is_a_task(self, goemotions: Path) -> None:
        found, tasks = LAUNCHER.emotion_examples(goemotions, 1000, 7)
        assert [task.key for task in tasks] == [f"goemotions.{name}" for name in EMOTIONS]
        assert {task.levels for task in tasks} == {("no", "yes")}
        assert len({task.digest for task in (*tasks, *QUESTIONS.tasks)}) == len(tasks) + len(QUESTIONS.tasks)
        assert len(found) == len({each.group for each in found}) == 8 * len(COMMENTS)
        for each in found:
            wanted = next(labels for text, labels in COMMENTS if each.reply.startswith(text))
            assert each.context == ""
            assert each.weight == LAUNCHER.EMOTION_WEIGHT < 1
            for place, task in enumerate(tasks):
                assert each.targets[task.key] == level_of(task, "yes" if str(place) in wanted else "no")

    def test_some_of_them_are_drawn(self, goemotions: Path) -> None:
        one, other, third = (LAUNCHER.emotion_examples(goemotions, 12, seed)[0] for seed in (7, 7, 8))
        assert len(one) == 12
        assert one == other
        assert {each.id for each in one} != {each.id for each in third}


# --- training --------------------------------------------------------------------------------------------------------

PASSES = 2


def launch(
    data: Path, backbone: Path, output: Path, *more: str, teller: Callable[[Moment], None] | None = None
) -> Path:
    chosen = [f"backbone={backbone}", f"epochs={PASSES}", "dev_share=0.1", "batch_size=32", "device=cpu"]
    chosen += ["lora.rank=2", "reading.context_chars=40", "reading.reply_chars=80"]
    items = [word for each in chosen for word in ("--set", each)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LAUNCHER, "DATA", data)
        if teller is not None:
            patch.setattr(LAUNCHER, "_teller", lambda: teller)
        patch.setattr(sys, "argv", ["embedded.py", "-o", str(output), *items, *more])
        assert LAUNCHER.main() == 0
    return output


@pytest.fixture(scope="module")
def trained(data: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the launcher wrote, in a folder with somebody's README. Not to be changed."""
    output = tmp_path_factory.mktemp("trained")
    (output / "README.md").write_text("# A model card\n")
    return launch(data, bert, output)


def weights(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.rglob("*.safetensors"))
    assert [path.name for path in paths] == ["adapter_model.safetensors", "heads.safetensors"]
    return {path.name: path.read_bytes() for path in paths}


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def heads_in(folder: Path) -> set[str]:
    from safetensors.numpy import load_file

    return {name.rpartition(".")[0] for name in load_file(folder / "heads.safetensors")}


class TestTraining:
    PARTS = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors", "heads.safetensors", "student.json")

    def test_what_it_writes(self, trained: Path, data: Path, bert: Path) -> None:
        assert names_in(trained) == ["README.md", *self.PARTS]
        assert (trained / "README.md").read_text() == "# A model card\n"
        manifest = read_manifest(trained)
        assert tuple(taught.task for taught in manifest.tasks) == QUESTIONS.tasks
        assert heads_in(trained) == set(KEYS)
        assert manifest.backbone.model == str(bert)
        assert manifest.reading.reply_chars == 80
        facts = manifest.training
        assert facts["rubrics"] == {rubric.ref: rubric.hash for rubric in QUESTIONS.rubrics.values()}
        assert facts["examples"] + facts["dev"] > len(lines(data / "conversations.jsonl"))  # some are made worse
        assert facts["dev"] > 0
        assert len(facts["history"]) == PASSES
        assert facts["recipe"]["task_weights"] == LAUNCHER.RECIPE["task_weights"]

    def test_what_it_writes_is_a_student(self, trained: Path) -> None:
        found = Scorer(trained).probabilities([("my dog died", "sorry, that hurts"), ("", "your fault")])
        assert list(found) == KEYS
        assert all(np.allclose(rows.sum(1), 1) and not np.array_equal(*rows) for rows in found.values())

    @pytest.mark.slow
    def test_stopped_and_gone_on_is_as_if_never_stopped(
        self, trained: Path, data: Path, bert: Path, tmp_path: Path
    ) -> None:
        facts = read_manifest(trained).training
        steps = -(-facts["examples"] // 32)  # of one pass
        seen: list[int] = []

        def stops(moment: Moment) -> None:
            seen.append(moment.step)
            if moment.step > steps:
                raise KeyboardInterrupt

        work = ("--work", str(tmp_path / "work"))
        with pytest.raises(KeyboardInterrupt):
            launch(data, bert, tmp_path / "out", *work, teller=stops)
        assert seen[-1] == steps + 1
        assert not (tmp_path / "out").exists()
        with pytest.raises(InputError, match="cannot be resumed with these"):
            launch(data, bert, tmp_path / "out", *work, "--set", "seed=8")
        seen.clear()
        launch(data, bert, tmp_path / "out", *work, teller=lambda moment: seen.append(moment.step))
        assert sorted(set(seen)) == list(range(steps + 1, PASSES * steps + 1))  # the first pass is not made again
        assert weights(tmp_path / "out") == weights(trained)
        assert read_manifest(tmp_path / "out") == read_manifest(trained)
        assert names_in(tmp_path / "out") == list(self.PARTS)
        # and once more, over what stands there
        launch(data, bert, tmp_path / "out", *work)
        assert weights(tmp_path / "out") == weights(trained)

    def test_emotions_are_learnt_and_left_out(
        self,
        trained: Path,
        data: Path,
        bert: Path,
        goemotions: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        found = launch(data, bert, tmp_path / "out", "--goemotions", str(goemotions), "--emotions", "20")
        before, after = read_manifest(trained), read_manifest(found)
        assert list(map(untempered, after.tasks)) == list(map(untempered, before.tasks))
        assert heads_in(found) == set(KEYS)
        counts = [each.training["examples"] + each.training["dev"] for each in (before, after)]
        assert counts[1] == counts[0] + 20
        assert weights(found)["adapter_model.safetensors"] != weights(trained)["adapter_model.safetensors"]
        said = capsys.readouterr().out
        assert any(line.startswith("supportiveness.") and " κ " in line for line in said.splitlines())
        assert "goemotions" not in said


def untempered(taught: Taught) -> Taught:
    return taught.model_copy(update={"temperature": 1.0})
