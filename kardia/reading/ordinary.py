"""The ordinary row, read in one go: most rows of most files, so that this is where reading spends its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kardia.conversation import ROLES, Conversation, Message
from kardia.reading.fields import FIELDS
from kardia.reading.jsontext import is_utf8

__all__ = ["MAX_DEPTH", "ordinary_conversation"]

MAX_DEPTH = 100
"""How deeply metadata may be nested."""

_OWN = ("messages", "id", "metadata")
_BESIDE = (FIELDS | {"reply"}).difference(_OWN)
_ROLES = frozenset(ROLES)


def ordinary_conversation(row: Mapping[str, Any], default_id: str) -> Conversation | None:
    """The conversation of a row with `messages` whose contents are text, plain metadata, and an id or none.

    Returns:
        None for any other row: what it says, or what is wrong with it, takes a closer look.
    """
    listed = row.get("messages")
    if type(row) is not dict or type(listed) is not list:
        return None
    messages: list[Message] = []
    replies = False
    for item in listed:
        if type(item) is not dict:
            return None
        role, content = item.get("role"), item.get("content")
        if type(role) is not str or role not in _ROLES or type(content) is not str:
            return None
        if not (content.isascii() or is_utf8(content)):
            return None
        replies = replies or role == "assistant"
        messages.append(Message(role, content))
    own_id, given = row.get("id"), row.get("metadata")
    if type(own_id) is int and -(2**63) < own_id < 2**63:
        own_id = str(own_id)
    elif own_id is None:
        own_id = default_id
    elif type(own_id) is not str or not own_id.strip() or not is_utf8(own_id):
        return None
    if not replies or not (given is None or (type(given) is dict and _is_plain(given, -1))):
        return None
    metadata = {} if given is None else {name: value for name, value in given.items() if value is not None}
    if len(row) > 1 + ("id" in row) + ("metadata" in row):
        rest = {name: value for name, value in row.items() if name not in _OWN and value is not None}
        if not _is_plain(rest, -1) or not _BESIDE.isdisjoint(rest) or not metadata.keys().isdisjoint(rest):
            return None
        metadata.update(rest)
    return None if "rubric" in metadata else Conversation(own_id, tuple(messages), metadata)


def _is_plain(value: Any, depth: int) -> bool:
    """Whether it can be written as JSON and UTF-8, and is nested no deeper than metadata may be."""
    kind = type(value)
    if kind is str:
        return is_utf8(value)
    if kind is float:
        return math.isfinite(value)
    if value is None or kind is int or kind is bool:
        return True
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        for name in value:
            if type(name) is not str or not is_utf8(name):
                return False
        value = value.values()
    elif kind is not list:
        return False
    for inner in value:  # noqa: SIM110 - a generator takes twice as long, and this is done for every row
        if not _is_plain(inner, depth + 1):
            return False
    return True
