"""What all tests share: no network beyond this machine, no keys, no user's folders."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401 - its plugin imports it late otherwise, where trio is there, and then warns
import pytest
import tiny

from kardia.conversation import Conversation, Message

ROOT = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # begun in the background of a shell, which makes it and its children deaf to Ctrl-C; some tests press it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the developer's keys or settings, and none reaches a hub; pytest-socket refuses every other host."""
    for name in ("KARDIA_JUDGE", "KARDIA_PATH", "KARDIA_DEBUG", "OPENAI_API_KEY", "OPENAI_BASE_URL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # nobody's own ledger and limits; a test that wants a ledger names one
    monkeypatch.setenv("KARDIA_LEDGER", "off")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def conversation() -> Conversation:
    """A small one: somebody's dog died, and a kind reply."""
    messages = (Message("user", "My dog died this morning."), Message("assistant", "I'm so sorry. He was family."))
    return Conversation("c1", messages, {"emotion": "sadness"})


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """torch on one thread, where it is installed: tiny models are slower on several."""
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
    """The folder of a backbone; built once, as the next two."""
    return tiny.bert(_folder(tmp_path_factory, "bert"))


@pytest.fixture(scope="session")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.roberta(_folder(tmp_path_factory, "roberta"))


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen(_folder(tmp_path_factory, "qwen"))


@pytest.fixture
def own_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What one test opened or was warned of is not known to the next."""
    from kardia.engine import ledger

    known: dict[Any, Any] = {}
    monkeypatch.setattr(ledger, "_warned", set())
    monkeypatch.setattr(ledger, "_known", known)
    yield
    for made in known.values():
        made.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A PostgreSQL server, as `tests/postgresql.py` starts it, where the system has one."""
    from postgresql import started

    server = started()
    yield server
    server.remove()


@pytest.fixture
def ledger_database(postgresql: Any, tmp_path: Path) -> Iterator[Any]:
    """An empty database, as a place for a ledger."""
    from places import Database

    place = Database(tmp_path, postgresql)
    yield place
    postgresql.give_back(place.name)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Where a ledger may lie, as `tests/places.py` has it; once for each kind."""
    from places import File

    return File(tmp_path) if request.param == "sqlite" else request.getfixturevalue("ledger_database")
