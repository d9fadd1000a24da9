"""The rules on a rubric's source: prose that YAML has cut. They work where the file is not a valid rubric."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kardia.yamlfile import Document, YamlPath

__all__ = ["SourceHit", "cut_by_comment", "list_for_text", "missing_text", "prose", "text_with_key"]

SourceHit = tuple[YamlPath, str, str]
"""Path, message, how to mend it."""

_COMMENT = re.compile(r"[ \t]+#(?P<text>[^\n]*)")
_ENDS = re.compile(r"[.?!…:;][\"'”’»)\]]*\Z")
_BLOCK = "write the text as a block: `|` after the colon, the text indented in the lines below"


@dataclass(frozen=True, slots=True)
class Prose:
    """A place where the format wants text; `sentence` is false where a name or a few words are usual."""

    path: YamlPath
    value: Any
    sentence: bool = True


def prose(data: Any) -> Iterator[Prose]:
    """Every place in a rubric's data where text belongs and something stands, of whatever shape that is."""
    if not isinstance(data, dict):
        return
    for key, sentence in (("title", False), ("description", True)):
        if key in data:
            yield Prose((key,), data[key], sentence)
    for key, value in _items(data.get("metadata")):
        if value is not None:  # a name without an explanation is allowed there
            yield Prose(("metadata", key), value, False)
    for number, criterion in _entries(data.get("criteria")):
        yield from _criterion(criterion, ("criteria", number))
    for number, example in _entries(data.get("examples")):
        path: YamlPath = ("examples", number)
        for key in ("reply", "why"):
            if key in example:
                yield Prose((*path, key), example[key])
        context = example.get("context")
        if isinstance(context, list):
            for place, message in _entries(context):
                if "content" in message:
                    yield Prose((*path, "context", place, "content"), message["content"])
        elif "context" in example:
            yield Prose((*path, "context"), context)


def _criterion(criterion: dict[Any, Any], path: YamlPath) -> Iterator[Prose]:
    for key in ("question", "guidance", "not_relevant"):
        if key in criterion:
            yield Prose((*path, key), criterion[key])
    scale = criterion.get("scale")
    if not isinstance(scale, dict):
        return
    for level, text in _items(scale.get("levels")):
        yield Prose((*path, "scale", "levels", level), text)
    for option, worth in _items(scale.get("options")):
        if isinstance(worth, dict) and "description" in worth:
            yield Prose((*path, "scale", "options", option, "description"), worth["description"])


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _entries(value: Any) -> list[tuple[int, dict[Any, Any]]]:
    return [(n, item) for n, item in enumerate(value) if isinstance(item, dict)] if isinstance(value, list) else []


def cut_by_comment(document: Document) -> Iterator[SourceHit]:
    """An unquoted ` #` ends the text; the rest of the line is a comment nobody reads."""
    comments = _comments(document.text)
    for place in prose(document.data):
        comment = comments.get(tuple(map(str, place.path)))
        if comment is None or not isinstance(place.value, str):
            continue
        gap, text = comment
        deliberate = text[:1] in (" ", "\t") and (
            _ENDS.search(place.value) is not None or (not place.sentence and len(gap) > 1)
        )
        if not deliberate:
            yield (
                place.path,
                f"the text ends before ` #`: “#{text.strip()}” is read as a comment",
                f"put the whole text in quotes, or {_BLOCK}",
            )


def missing_text(document: Document) -> Iterator[SourceHit]:
    """A key whose text is empty."""
    comments = _comments(document.text)
    for place in prose(document.data):
        if place.value is not None:
            continue
        comment = comments.get(tuple(map(str, place.path)))
        if comment is not None:
            yield (
                place.path,
                f"has no text: “#{comment[1].strip()}” is read as a comment",
                f"put the text in quotes, or {_BLOCK}",
            )
        else:
            yield place.path, "has no text", f"write it, or delete the key; or {_BLOCK}"


def text_with_key(document: Document) -> Iterator[SourceHit]:
    """A colon followed by a space made a key of the words before it."""
    for place in prose(document.data):
        if isinstance(place.value, dict):
            key = next(iter(place.value), "")
            yield (
                place.path,
                f"is read as the key “{key}” with a value, because a colon follows these words; text was expected",
                f"put the whole text in quotes, or {_BLOCK}",
            )


def list_for_text(document: Document) -> Iterator[SourceHit]:
    """A dash or a bracket at the beginning made a list of the text."""
    for place in prose(document.data):
        if isinstance(place.value, list):
            yield (
                place.path,
                "is read as a list, because it begins with a dash or a bracket; text was expected",
                f"put the whole text in quotes, or {_BLOCK}",
            )


def _comments(text: str) -> dict[tuple[str, ...], tuple[str, str]]:
    """Path of each plain scalar that a comment follows in its line → (the gap before `#`, what follows it)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    found: dict[tuple[str, ...], tuple[str, str]] = {}

    def visit(node: Any, path: tuple[str, ...], start: int) -> None:
        if isinstance(node, ScalarNode):
            if node.style is None:
                # a value that is not there is marked at the next token, behind the comment: look behind its colon
                end = node.end_mark.index if node.value else start
                match = _COMMENT.match(text, end)
                if match is not None:
                    found[path] = (text[end : match.start("text") - 1], match.group("text").rstrip("\r"))
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                visit(value, (*path, str(key.value)), key.end_mark.index + 1)
        elif isinstance(node, SequenceNode):
            for number, item in enumerate(node.value):
                visit(item, (*path, str(number)), item.start_mark.index)

    visit(YAML(typ="safe", pure=True).compose(text), (), 0)
    return found
