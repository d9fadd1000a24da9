"""YAML 1.2 with line marks: plain data, and where each key and value stands.

The nodes of a plain document come from libyaml (`kardia.yamlnodes`), all others from ruamel.yaml. The scalars are
resolved here by YAML 1.2's core schema (`yes` is a word, `010` is ten), because what people type into a rubric must
mean what it looks like. Duplicate keys, tags, merge keys, non-finite numbers and aliases that multiply are refused
with file and line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.errors import YamlError
from kardia.yamlnodes import MAX_DEPTH, quick_nodes

__all__ = ["Document", "YamlPath", "load_yaml", "parse_scalar", "parse_yaml", "read_text"]

YamlPath = tuple["str | int", ...]

MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 200_000  # with aliases expanded: a "billion laughs" file stops here

_TAGS = {"map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value"}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}


@dataclass(frozen=True)
class Document:
    """Plain data with its source.

    `key_lines` and `value_lines` map a path — `("criteria", 0, "scale")` — to the line, from 1, of its key and of
    its value; `plain` holds the paths of scalars that were written without quotes or block style.
    """

    data: Any
    file: str
    text: str
    key_lines: dict[YamlPath, int] = field(default_factory=dict)
    value_lines: dict[YamlPath, int] = field(default_factory=dict)
    plain: frozenset[YamlPath] = frozenset()

    def line(self, path: YamlPath) -> int | None:
        """The line of the deepest known ancestor of `path`, itself included."""
        for end in range(len(path), -1, -1):
            found = self.key_lines.get(path[:end]) or self.value_lines.get(path[:end])
            if found is not None:
                return found
        return None


def read_text(path: Path, error: type[YamlError] | type[Any] = YamlError) -> str:
    """The file's text (UTF-8, a byte order mark is dropped), or a sentence about why not."""
    name = str(path)
    if path.is_dir():
        raise error("is a directory; a file was expected", file=name)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise error(f"is {size:,} bytes long; at most {MAX_BYTES:,} are read", file=name)
        raw = path.read_bytes()
    except FileNotFoundError:
        raise error("no such file", file=name) from None
    except OSError as problem:
        raise error(f"cannot be read: {problem.strerror or problem}", file=name) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise error("is not UTF-8 text; save it as UTF-8", file=name, line=line) from None


def load_yaml(path: Path) -> Document:
    """Reads one YAML document from a file.

    Raises:
        YamlError: with file and line, where the file is not a single YAML 1.2 document of plain data.
    """
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, file: str = "<text>") -> Document:
    """Reads one YAML document from text; see `load_yaml`."""
    node = quick_nodes(text) or _careful_nodes(text, file)
    builder = _Builder(file)
    data = builder.build(node, (), 0)
    return Document(data, file, text, builder.key_lines, builder.value_lines, frozenset(builder.plain))


def _careful_nodes(text: str, file: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line = mark.line + 1 if mark is not None else None
        raise YamlError(_explain(problem, text, line), file=file, line=line) from None
    except YAMLError as problem:
        found = getattr(problem, "character", None)
        position = getattr(problem, "position", None)
        line = text[:position].count("\n") + 1 if isinstance(position, int) else None
        code = f"U+{found:04X}" if isinstance(found, int) else repr(found)
        what = f"holds a character that YAML does not allow ({code})" if found is not None else str(problem)
        raise YamlError(what, file=file, line=line) from None
    except (RecursionError, ValueError) as problem:
        what = "is nested too deeply" if isinstance(problem, RecursionError) else f"is not YAML: {problem}"
        raise YamlError(what, file=file) from None
    if node is None:
        raise YamlError("is empty", file=file, line=1)
    return node


def parse_scalar(text: str) -> Any:
    """What a plain YAML 1.2 scalar means; used for `--set key=value`."""
    return _Builder("<value>").plain_scalar(text, None)


def _explain(problem: Any, text: str, line: int | None) -> str:
    lines = text.splitlines()
    source = lines[line - 1] if line is not None and 0 < line <= len(lines) else ""
    what = str(problem.problem or problem.context or "cannot be parsed")
    if "\t" in source[: len(source) - len(source.lstrip())] or "\\t" in what:
        return "a tab is used for indentation; YAML wants spaces"
    if "mapping values are not allowed" in what:
        return "a colon followed by a space makes a key here; put the text in quotes, or in a block after `|`"
    if "expected <block end>" in what or "could not find expected ':'" in what:
        return "this line does not fit its neighbours: check how far it is indented, and that each key has its colon"
    if "duplicate" in what:
        return what
    if "found undefined alias" in what:
        return what + "; text that begins with `*` needs quotes"
    return f"is not valid YAML here: {what}"


class _Builder:
    """Nodes → plain data, with marks and limits."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.count = 0
        self.characters = 0
        self.key_lines: dict[YamlPath, int] = {}
        self.value_lines: dict[YamlPath, int] = {}
        self.plain: set[YamlPath] = set()

    def build(self, node: Any, path: YamlPath, depth: int) -> Any:
        from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            raise YamlError(
                f"grows past {MAX_NODES:,} values or {MAX_DEPTH} levels when its anchors are expanded",
                file=self.file,
                line=line,
            )
        tag = str(node.tag)
        if tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            raise YamlError(f"has the tag {tag}; only plain data is read", file=self.file, line=line)
        self.value_lines[path] = line
        if isinstance(node, ScalarNode):
            return self.scalar(node, path, line)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise YamlError("a key must be a word or a number", file=self.file, line=key_line)
            if key_node.style is None and key_node.value == "<<":
                raise YamlError("merge keys (<<) are not YAML 1.2; write the keys out", file=self.file, line=key_line)
            key = self.scalar(key_node, None, key_line)
            if key is None or isinstance(key, (bool, float)):
                key = key_node.value
            here = (*path, key)
            if key in result:
                first = self.key_lines[here]
                raise YamlError(
                    f"the key {key!r} stands here a second time (first in line {first})",
                    file=self.file,
                    line=key_line,
                    key=".".join(str(part) for part in here),
                )
            self.key_lines[here] = key_line
            result[key] = self.build(value_node, here, depth + 1)
            if value_node.value == "":  # a value that was left out stands where its key does
                self.value_lines[here] = key_line
        return result

    def scalar(self, node: Any, path: YamlPath | None, line: int) -> Any:
        text: str = node.value
        self.characters += len(text)
        if self.characters > MAX_BYTES:
            raise YamlError(
                f"grows past {MAX_BYTES:,} characters when its anchors are expanded", file=self.file, line=line
            )
        if _SURROGATE.search(text):  # "\\ud800": no text, and no UTF-8 for it
            raise YamlError("holds half of a surrogate pair; write the character itself", file=self.file, line=line)
        if node.style in ("'", '"', "|", ">"):
            return text
        if path is not None:
            self.plain.add(path)
        try:
            return self.plain_scalar(text, line)
        except YamlError as problem:
            key = ".".join(str(part) for part in path or ())
            raise YamlError(problem.message, file=self.file, line=line, key=key or None) from None

    def plain_scalar(self, text: str, line: int | None) -> Any:
        if text in _NULL:
            return None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        if _INT.match(text):
            if len(text) > 30:
                raise YamlError(f"the number {text[:12]}… is too long", file=self.file, line=line)
            return int(text)
        if _FLOAT.match(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise YamlError(f"the number {text} is not finite", file=self.file, line=line)
            return number
        if _SPECIAL.match(text):
            raise YamlError(f"{text} is not a finite number", file=self.file, line=line)
        return text
