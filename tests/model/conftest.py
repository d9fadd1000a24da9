"""Backbones are built once; what needs no torch is tested without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    try:
        import torch
    except ImportError:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    for needed in ("torch", "transformers", "peft"):
        pytest.importorskip(needed, reason="students need kardia[local]")
    return factory.mktemp(name)


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(_folder(tmp_path_factory, "bert"))


@pytest.fixture(scope="session")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.roberta(_folder(tmp_path_factory, "roberta"))


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen(_folder(tmp_path_factory, "qwen"))
