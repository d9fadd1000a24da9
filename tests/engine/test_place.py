"""Where a ledger lies: files and addresses; and that a password is told to nobody."""

from __future__ import annotations

import pickle

import pytest

import kardia
from kardia.engine.commons import limits_path
from kardia.engine.ledger import Ledger, open_ledger
from kardia.engine.place import Address, ledger_place, store_of
from kardia.engine.postgres import Postgres
from kardia.engine.sqlite import SQLite
from kardia.errors import InputError
from kardia.policy.evaluation import Options
from kardia.scoring import Settings

SECRET = "Sesame"


def test_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.delenv("KARDIA_LEDGER", raising=False)
    assert ledger_place("off") == (None, True)
    assert ledger_place(tmp_path / "a") == (tmp_path / "a", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    path, named = ledger_place()
    assert (path.name, named) == ("ledger.sqlite3", False)
    assert path.parent.name == "kardia"
    assert path.is_relative_to(tmp_path)
    assert ledger_place("~/x") == (tmp_path / "x", True)
    monkeypatch.setenv("KARDIA_LEDGER", str(tmp_path / "b"))
    assert ledger_place() == (tmp_path / "b", True)
    assert ledger_place("off") == (None, True)
    monkeypatch.setenv("KARDIA_LEDGER", "off")
    assert open_ledger() is None
    monkeypatch.setenv("KARDIA_LEDGER", "")
    assert ledger_place() == (path, False)
    monkeypatch.setenv("KARDIA_LEDGER", f"postgres://me:{SECRET}@host/db")
    place, named = ledger_place()
    assert (str(place), named) == ("postgresql://me@host/db", True)


def test_the_store_of_a_place(tmp_path):
    assert type(store_of(tmp_path / "a")) is SQLite
    store = store_of(Address.of("postgresql://host/db"))
    assert (type(store), store.place) == (Postgres, "postgresql://host/db")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgres://me@host:5433/db", "postgresql://me@host:5433/db"),
        ("postgresql://me:Sesame@host/db?sslmode=require", "postgresql://me@host/db"),
        ("postgresql://me:a:?#Sesame%40@[::1]:5433/db", "postgresql://me@[::1]:5433/db"),
        ("postgresql://me:Sesame@a:1,b:2/db?target_session_attrs=primary", "postgresql://me@a:1,b:2/db"),
        ("postgresql:///db?host=/run/postgresql&password=Sesame", "postgresql:///db?host=/run/postgresql"),
        ("postgresql://me:Sesame@/db?host=%2Frun&sslpassword=Sesame", "postgresql://me@/db?host=%2Frun"),
        ("postgresql://", "postgresql:///"),
        ("postgresql://h/?user=me&dbname=db", "postgresql://h/?user=me&dbname=db"),
    ],
)
def test_an_address_is_told_without_its_password(url, shown):
    address = Address.of(url)
    assert str(address) == shown
    assert address.url.partition("://")[2] == url.partition("://")[2]
    assert SECRET not in f"{address} {address!r} {Postgres(address).place} {Postgres(address)!r}"
    assert SECRET not in address.without_secrets(f"it said:\n {url}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:Sesame@x@host/db",  # an @ that is not written %40: libpq takes x@host for the host
        "postgresql://me:Sesame/x@host/db",
        "postgresql://me:12/Sesame@host/db",
        "postgresql://me:Sesame@host:port/db",
        "postgresql://host/db@Sesame",
        "postgresql://me:Sesame@host/db/more",
        "postgresql://me:Sesame@ho st/db",
        "mysql://me:Sesame@host/db",
        "https://me:Sesame@host/ledger",
        "sqlite://Sesame",
    ],
)
def test_what_is_no_address_is_not_repeated(url, monkeypatch):
    for work in (lambda: ledger_place(url), lambda: open_ledger(url)):
        with pytest.raises(InputError) as raised:
            work()
        assert SECRET not in str(raised.value)
        assert "://…: is not the" in str(raised.value)
    monkeypatch.setenv("KARDIA_LEDGER", url)
    with pytest.raises(InputError, match="is not the") as raised:
        ledger_place()
    assert SECRET not in str(raised.value)


def test_a_ledger_knows_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    address = Address.of(f"postgresql://me:{SECRET}@host/db")
    far, near = Ledger(Postgres(address), address), Ledger(SQLite(tmp_path / "a"), tmp_path / "a")
    assert (far.path, far.where) == (None, address.url)
    assert (near.path, near.where) == (tmp_path / "a", tmp_path / "a")
    assert Ledger(SQLite(tmp_path / "a")).where == "off"
    # what paces requests is this host's own
    assert limits_path(far.path) == limits_path(None)
    assert limits_path(far.path).name == "ledger.sqlite3.limits"
    assert SECRET not in repr(far)


def test_a_reward_travels_with_its_ledger():
    address = Address.of(f"postgresql://me:{SECRET}@host/db")
    reward = kardia.RubricReward("supportiveness@1", "fake", ledger=Ledger(Postgres(address), address))
    assert pickle.loads(pickle.dumps(reward)).source.ledger == address.url


@pytest.mark.parametrize("kind", [Settings, Options])
def test_what_holds_an_address_does_not_show_it(kind):
    assert SECRET not in repr(kind(ledger=f"postgresql://me:{SECRET}@host/db"))
