"""Tiny models are run on one thread; what needs no torch is tested without it."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _on_one_thread(one_thread: None) -> None: ...
