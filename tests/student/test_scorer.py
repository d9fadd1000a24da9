"""A student at work."""

from __future__ import annotations

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from kardia.errors import ProfileError
from kardia.student.backbone import Backbone
from kardia.student.network import collate
from kardia.student.ordinal import probabilities
from kardia.student.scorer import Scorer, batches
from kardia.student.student import Student
from kardia.student.tasks import tasks_of

np = pytest.importorskip("numpy", reason="students need kardia[local]")
torch = pytest.importorskip("torch", reason="students need kardia[local]")

TASKS = tasks_of([tiny.rubric()])
PAIRS = [
    ("my dog died", "sorry, that hurts"),
    ("", "why"),
    ("exam", "your fault " * 9),
    ("my dog died", "sorry, that hurts"),
    ("dog " * 40, "tell me more"),  # beyond the table of positions
    ("x", "z"),
]


def made(folder, **more):
    student = Student.create(TASKS, Backbone(model=str(folder)), freeze=True, **more)
    torch.manual_seed(5)
    with torch.no_grad():
        for tensor in student.network.heads.values():
            tensor.normal_(0, 0.4)
    student.temperatures = {task.key: 1.0 + number for number, task in enumerate(TASKS)}
    return student


STUDENTS = [
    ("bert", {}),
    ("bert", {"pooling": "cls"}),
    ("bert", {"pooling": "attention"}),
    ("bert", {"pooling": "attention", "reply_only": True}),
    ("roberta", {}),
    ("qwen", {"kind": "causal"}),
]


@pytest.mark.parametrize(("name", "more"), STUDENTS)
def test_each_pair_has_what_it_would_have_alone(name, more, request):
    student = made(request.getfixturevalue(name), **more)
    together = Scorer(student).probabilities(PAIRS)
    assert {key: value.shape for key, value in together.items()} == {
        task.key: (len(PAIRS), len(task.levels)) for task in TASKS
    }
    alone = [Scorer(student, batch_tokens=1).probabilities([pair]) for pair in PAIRS]
    for task in TASKS:
        assert together[task.key].sum(1) == pytest.approx(np.ones(len(PAIRS)))
        assert together[task.key] == pytest.approx(np.concatenate([each[task.key] for each in alone]), abs=1e-5)
        # different texts, different answers
        assert np.ptp(together[task.key], axis=0).max() > 0.01
    backwards = Scorer(student, batch_tokens=70).probabilities(PAIRS[::-1])
    for task in TASKS:
        assert together[task.key] == pytest.approx(backwards[task.key][::-1], abs=1e-5)


def test_it_says_what_the_network_says(bert):
    student = made(bert)
    batch = collate(student.coder.code(PAIRS[:1]), student.coder.pad)
    with torch.no_grad():
        outputs = student.network.outputs(**batch).double().numpy()
    found = Scorer(student).probabilities(PAIRS[:1])
    for slot in student.slots:
        wanted = probabilities(slot.task, outputs[:, slot.place], student.temperatures[slot.task.key])
        assert found[slot.task.key] == pytest.approx(wanted, abs=1e-6)


def test_equal_pairs_are_computed_once(bert, monkeypatch):
    student = made(bert)
    seen = []
    plain = type(student.network).outputs

    def counting(self, input_ids, attention_mask, reply_mask):
        seen.append(len(input_ids))
        return plain(self, input_ids, attention_mask, reply_mask)

    monkeypatch.setattr(type(student.network), "outputs", counting)
    Scorer(student).logits([("a", "b"), ("a", "b"), (" a", "b "), ("A", "b"), ("c", "b")])
    assert sum(seen) == 2


def test_no_pairs(bert):
    found = Scorer(made(bert)).probabilities([])
    assert found["world.warmth"].shape == (0, 3)


def test_nothing_is_learnt_while_scoring(bert):
    student = made(bert)
    scorer = Scorer(student)
    assert scorer.probabilities(PAIRS[:2])["world.warmth"] == pytest.approx(
        scorer.probabilities(PAIRS[:2])["world.warmth"], abs=0
    )
    assert not student.network.module.training
    assert "cpu" in repr(scorer)


def test_devices_that_are_not_there(bert):
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ProfileError, match="device: is not there"):
            Scorer(made(bert), device=device)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 120))
def test_batches(lengths, most):
    found = list(batches(lengths, most))
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= most
    flat = [lengths[row] for batch in found for row in batch]
    assert flat == sorted(flat, reverse=True)
