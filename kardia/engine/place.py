"""Where a ledger lies: in a file, or in a PostgreSQL database; and the store of that place."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kardia.errors import InputError

if TYPE_CHECKING:
    from kardia.engine.postgres import Postgres
    from kardia.engine.sqlite import SQLite

__all__ = ["Address", "ledger_place", "store_of"]

# stricter than libpq, which takes what follows an @ or a / in a password for the host or the database, and tells it
_URL = re.compile(
    r"postgres(?:ql)?://"
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<hosts>(?:[\w.%-]+|\[[0-9A-Fa-f:.%]+\])?(?::\d+)?(?:,(?:[\w.%-]+|\[[0-9A-Fa-f:.%]+\])?(?::\d+)?)*)"
    r"(?:/(?P<database>[^/?#@]*))?(?:\?(?P<options>[^#]*))?",
    re.ASCII,
)
_TOLD = ("host", "port", "user", "dbname", "service")
"""What is said of the options; others may hold what nobody should read."""


@dataclass(frozen=True)
class Address:
    """A PostgreSQL database, as `postgresql://user@host:port/database`; `str` leaves the password out.

    Attributes:
        url: all of it, for the connection.
    """

    url: str = field(repr=False)
    shown: str
    secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Address:
        """Reads one.

        Raises:
            InputError: where it is none; the message does not repeat it, since it may hold a password.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise InputError(
                "is not the address of a database: postgresql://user@host:port/database; in a password, characters "
                "such as @ / % are written %40 %2F %25",
                file="postgresql://…",
            )
        user, password, hosts, database, options = found.group("user", "password", "hosts", "database", "options")
        pairs = [pair.partition("=") for pair in (options or "").split("&") if pair]
        told = "&".join(name + equals + value for name, equals, value in pairs if name in _TOLD)
        hidden = {password or "", *(value for name, _, value in pairs if name not in _TOLD and "pass" in name)}
        return cls(
            "postgresql://" + url.partition("://")[2],
            f"postgresql://{user + '@' if user else ''}{hosts}/{database or ''}{'?' + told if told else ''}",
            tuple(sorted({form for one in hidden if one for form in (one, unquote(one))})),
        )

    def __str__(self) -> str:
        return self.shown

    def without_secrets(self, said: str) -> str:
        """What a library said, on one line, without the password."""
        said = " ".join(said.split())
        for secret in self.secrets:
            said = said.replace(secret, "…")
        return said


def ledger_place(where: str | Path | None = None) -> tuple[Path | Address | None, bool]:
    """Where the ledger lies, and whether somebody said so.

    Args:
        where: a file; `postgresql://user@host/database`; `off`: none; None: `$KARDIA_LEDGER`, else `ledger.sqlite3` in
            the user's data directory.

    Returns:
        the absolute path, or the address; None where there is to be no ledger; and whether it was named, here or in the
        environment.

    Raises:
        InputError: where it is neither.
    """
    chosen = where or os.environ.get("KARDIA_LEDGER") or None
    if chosen is None:
        from platformdirs import user_data_path

        return Path(os.path.realpath(user_data_path("kardia", appauthor=False) / "ledger.sqlite3")), False
    if chosen == "off":
        return None, True
    scheme, is_url, _ = str(chosen).partition("://")
    if is_url and scheme in ("postgresql", "postgres"):
        return Address.of(str(chosen)), True
    if is_url:  # what follows may hold a password
        raise InputError(
            "is not the path of a ledger file, nor `postgresql://user@host/database`, nor `off`", file=f"{scheme}://…"
        )
    return Path(os.path.realpath(os.path.expanduser(chosen))), True


def store_of(place: Path | Address) -> SQLite | Postgres:
    """The store of a place, not opened yet."""
    if isinstance(place, Address):
        from kardia.engine.postgres import Postgres

        return Postgres(place)
    from kardia.engine.sqlite import SQLite

    return SQLite(place)
