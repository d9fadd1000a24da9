"""Other implementations, where they are installed: none of them is needed, and each is compared with where it is."""

from __future__ import annotations

import warnings
from types import ModuleType

import pytest


def somebodys(module: str) -> ModuleType:
    """Somebody else's module; skips the test where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's code
        found: ModuleType = pytest.importorskip(module, reason=f"compared with {module.partition('.')[0]}")
    return found
