"""One browser for all tests of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .chromium import Page, programs, start


@pytest.fixture(scope="session")
def _driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    pytest.importorskip("selenium", reason="the report is opened by selenium")
    if programs() is None:
        pytest.skip("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def page(_driver: object) -> Iterator[Page]:
    """A browser; what its console says is an error, unless the test has looked at it."""
    found = Page(_driver)
    yield found
    assert found.errors() == []


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where reports of several tests lie."""
    return tmp_path_factory.mktemp("reports")
