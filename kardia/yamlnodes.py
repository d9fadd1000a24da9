"""The nodes of a plain YAML document, read by libyaml in a tenth of the time that ruamel.yaml takes.

Only what YAML 1.1, which libyaml reads, and YAML 1.2 have in common is read here: mappings, sequences and scalars
without anchors, tags, directives or a second document. Of everything else, and of whatever libyaml refuses, nothing is
said: ruamel.yaml reads that, and what is wrong is told in its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["MAX_DEPTH", "quick_nodes"]

MAX_DEPTH = 60

_TAG = "tag:yaml.org,2002:"
_READ_OTHERWISE = re.compile(
    "[\t\x85\u2028\u2029\ufeff]"  # tabs, and what ends a line in YAML 1.1 alone
    "|\r(?!\n)"
    "|^(%|\\?|---|\\.\\.\\.)"  # directives, keys of their own, marks of documents
    "|[|>][-+0-9]*(#| *\r?\n *\r?$)",  # a comment close behind `|`; a block whose first line is blank
    re.MULTILINE,
)


class _NotPlain(Exception):
    """Something that ruamel.yaml is to read."""


def quick_nodes(text: str) -> Any:
    """The root node of the document `text` as ruamel.yaml composes it, or None where ruamel.yaml has to."""
    if _READ_OTHERWISE.search(text):
        return None
    try:
        from yaml import CSafeLoader, YAMLError, parse
    except ImportError:  # a PyYAML that was built without libyaml
        return None
    try:
        events = parse(text, Loader=CSafeLoader)
        root = [next(events) for _ in range(3)][-1]  # behind the starts of the stream and of the document
        node = None if _kind(root) == "ScalarEvent" else _node(root, events, 0)
        plain = [_kind(event) for event in events] == ["DocumentEndEvent", "StreamEndEvent"]
    except (_NotPlain, YAMLError, StopIteration, ValueError):
        return None
    return node if plain else None


def _node(event: Any, events: Iterator[Any], depth: int) -> Any:
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    kind = _kind(event)
    if depth > MAX_DEPTH or getattr(event, "anchor", None) or getattr(event, "tag", None):
        raise _NotPlain
    if kind == "ScalarEvent":
        return ScalarNode(f"{_TAG}str", event.value, event.start_mark, style=event.style or None)
    value: list[Any] = []
    if kind == "SequenceStartEvent":
        while _kind(each := next(events)) != "SequenceEndEvent":
            value.append(_node(each, events, depth + 1))
        return SequenceNode(f"{_TAG}seq", value, event.start_mark)
    if kind == "MappingStartEvent":
        while _kind(each := next(events)) != "MappingEndEvent":
            value.append((_node(each, events, depth + 1), _node(next(events), events, depth + 1)))
        return MappingNode(f"{_TAG}map", value, event.start_mark)
    raise _NotPlain  # an alias, or the end of what is broken


def _kind(event: Any) -> str:
    return type(event).__name__
