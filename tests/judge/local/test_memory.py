"""Running out of memory."""

from __future__ import annotations

import pytest

from kardia.judge.local.memory import halving, out_of_memory

CPU = (
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)


def test_what_running_out_of_memory_looks_like():
    torch = pytest.importorskip("torch")
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert out_of_memory(RuntimeError(CPU))
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not out_of_memory(ValueError("out of memory"))


def test_torch_says_so_itself():
    torch = pytest.importorskip("torch")
    with pytest.raises((RuntimeError, MemoryError)) as problem:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(problem.value)


def test_half_as_many_until_it_goes():
    tried = []

    def work(items):
        tried.append(len(items))
        if len(items) > 2 or 5 in items:
            raise MemoryError
        return [10 * item for item in items]

    found = halving([1, 2, 3, 4, 5, 6], work, lambda item: -item, lambda: False)
    assert found == [10, 20, 30, 40, -5, 60]
    assert tried[0] == 6


def test_relief_comes_before_halving():
    room = [1]
    tried = []

    def work(items):
        tried.append(len(items))
        if len(items) > room[0]:
            raise RuntimeError(CPU)
        return list(items)

    def relieve():
        room[0] *= 2
        return room[0] <= 4

    assert halving([1, 2, 3, 4], work, lambda item: None, relieve) == [1, 2, 3, 4]
    assert tried == [4, 4, 4]


def test_other_faults_are_faults():
    def work(items):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        halving([1], work, lambda item: None, lambda: True)
    assert halving([], work, lambda item: None, lambda: True) == []
