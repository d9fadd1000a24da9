"""The reference pages' text, made from the code: the command line, the formats that people write, the Python names."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

import typer

__all__ = ["cli", "commands", "profile", "python", "rubric", "sections"]

DOCS = Path(__file__).resolve().parents[1]

Schema = Mapping[str, Any]
Row = tuple[str, str, str, str]

FORMATS = {"Criterion": ("a criterion", "rubric.md#criterion"), "JudgeProfile": ("a judge profile", "profile.md")}
KINDS = {str: "text", int: "whole number", float: "number", bool: "yes or no", Path: "path"}


# The command line


def commands() -> Iterator[tuple[str, Any, Any]]:
    """Every command and sub-command in the order of the help: its words, itself, its context."""
    from kardia.cli.app import app

    root = typer.main.get_command(app)
    yield from _commands("kardia", root, typer.Context(root, info_name="kardia"))


def _commands(words: str, command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    yield words, command, context
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        inner = command.get_command(context, name)
        yield from _commands(f"{words} {name}", inner, typer.Context(inner, info_name=name, parent=context))


def cli() -> str:
    """Markdown: a heading for each command, its help, its usage, its arguments and options."""
    return "\n\n".join(_command(*each) for each in commands())


def _command(words: str, command: Any, context: Any) -> str:
    said, examples = _help(command.help or "")
    usage = f"{words} {' '.join(command.collect_usage_pieces(context))}"
    parts = [f"{'#' * min(1 + len(words.split()), 4)} {words}", said, f"```text\n{usage}\n```"]
    rows = [_parameter(each) for each in command.params if not getattr(each, "hidden", False)]
    if rows:
        parts.append(_table(("", "takes", "", "default"), rows))
    if examples:
        parts.append("For example:\n\n```sh\n" + "\n".join(examples) + "\n```")
    return "\n\n".join(part for part in parts if part)


def _help(text: str) -> tuple[str, list[str]]:
    """What a command's help says, and its examples."""
    said, examples = [], []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        found = re.match(r"Examples?:\s*(.*)", paragraph, re.DOTALL)
        if found:
            examples += [line.strip() for line in found[1].splitlines() if line.strip()]
        else:
            said.append(_plain(paragraph))
    return "\n\n".join(said), examples


def _parameter(parameter: Any) -> Row:
    options = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name}`"
    else:
        names = ", ".join(f"`{each}`" for each in sorted(options, key=lambda each: (not each.startswith("--"), each)))
    takes = "" if getattr(parameter, "is_flag", False) else _takes(parameter)
    default = parameter.default
    if parameter.required:
        shown = "needed"
    elif default is None or default is False or default == () or callable(default):
        shown = ""
    else:
        shown = f"`{default.value if isinstance(default, enum.Enum) else default}`"
    return names, takes, _plain(parameter.help or ""), shown


def _takes(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    choices = kind if inspect.isclass(kind) and issubclass(kind, enum.Enum) else None
    if choices is not None:
        said = ", ".join(f"`{each.value}`" for each in choices)
    elif parameter.metavar and parameter.param_type_name == "option":
        said = parameter.metavar
    else:
        inner = re.match(r"list\[(\w+)\]", str(kind))
        names = {each.__name__: word for each, word in KINDS.items()}
        said = names.get(inner[1] if inner else getattr(kind, "__name__", ""), "text")
        said += _bounds(parameter.min, parameter.max) + (", several times" if inner else "")
    return said


# The formats that people write


def rubric() -> str:
    """Markdown: a heading for each part of a rubric's schema, with its keys."""
    from kardia.rubric.schema import rubric_schema

    return _schema(rubric_schema(), "A rubric", {})


def profile() -> str:
    """Markdown: a heading for each part of a judge profile, with its keys."""
    from kardia.judge.profile import JudgeProfile

    return _schema(JudgeProfile.model_json_schema(by_alias=True), "A profile", _said_of_profiles())


def sections(schema: Schema, title: str) -> list[tuple[str, Schema]]:
    """The parts of a schema with their headings: the whole, then what it refers to, in the order of its use."""
    parts, seen = [(title, schema)], set()
    for _, part in parts:  # which grows
        for name in re.findall(r"#/\$defs/(\w+)", repr({**part, "$defs": {}})):
            if name not in seen:
                seen.add(name)
                parts.append((_title(name), schema["$defs"][name]))
    return parts


def _schema(schema: Schema, title: str, said: Mapping[str, str]) -> str:
    made = []
    for heading, part in sections(schema, title):
        rows = [
            _key(name, key, name in part.get("required", ()), schema, said) for name, key in part["properties"].items()
        ]
        made += [f"## {heading}", _plain(part.get("description", ""))]
        made.append(_table(("key", "what it takes", "what it means", "default"), rows))
    return "\n\n".join(made)


def _key(name: str, key: Schema, needed: bool, schema: Schema, said: Mapping[str, str]) -> Row:
    inner = re.search(r"#/\$defs/(\w+)", repr(key))
    meaning = (
        key.get("description") or (schema["$defs"][inner[1]].get("description") if inner else said.get(name)) or ""
    )
    default = key.get("default")
    shown = "needed" if needed else "" if default in (None, "", [], {}) else f"`{_yaml(default)}`"
    return f"`{name}`", _type(key), _plain(meaning), shown


def _yaml(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _type(node: Schema) -> str:
    """What a node of a JSON Schema takes, in words."""
    if "$ref" in node:
        title = _title(node["$ref"].rpartition("/")[2])
        return f"[{title.lower()}](#{title.lower().replace(' ', '-')})"
    if "if" in node:
        return " or ".join(dict.fromkeys(_type(node[branch]) for branch in ("then", "else")))
    if "const" in node or "enum" in node:
        return ", ".join(f"`{_yaml(each)}`" for each in node.get("enum", [node.get("const")]))
    if "anyOf" in node:
        return _either(list(dict.fromkeys(_type(each) for each in node["anyOf"])))
    match node.get("type"):
        case "array":
            return f"list of {_type(node['items'])}" if node.get("items") else "list"
        case "object":
            inner = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
            return f"map to {_type(inner)}" if isinstance(inner, Mapping) else "map"
        case "integer":
            return "whole number" + _bounds(node.get("minimum"), node.get("maximum"))
        case "number":
            above = node.get("exclusiveMinimum")
            least = _bounds(node.get("minimum"), node.get("maximum"))
            return "number" + (f" above {above:g}" if above is not None else "") + least
        case "boolean":
            return "`true` or `false`"
        case "null":
            return "`null`"
        case "string":
            return "text"
    return "anything"


def _either(kinds: list[str]) -> str:
    """Several types as one: all scalars are a value, and what may be written alone or listed is said once."""
    scalars = {"text", "whole number", "number", "`true` or `false`"}
    if scalars <= set(kinds):
        kinds = ["value", *(each for each in kinds if each not in scalars)]
    listed = [each for each in kinds if each.startswith("list of ") and each.removeprefix("list of ") in kinds]
    said = [each for each in kinds if f"list of {each}" not in listed]
    return " or ".join(f"{each.removeprefix('list of ')}, or a list" if each in listed else each for each in said)


def _said_of_profiles() -> dict[str, str]:
    """What the page about judges says of the keys whose meaning is not in the schema."""
    page = (DOCS / "judges.md").read_text("utf-8").partition("\n## A profile, key by key\n")[2]
    link = re.compile(r": see \[[^\]]+\]\([^)]*\)|\[([^\]]+)\]\([^)]*\)")
    said: dict[str, str] = {}
    for keys, meaning in re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", page, re.MULTILINE):
        for key in re.findall(r"`([\w.]+)`", keys):
            said.setdefault(key.rpartition(".")[2], link.sub(r"\1", meaning))
    return said


# Python


def python() -> str:
    """Markdown around directives: every public name with its signature and docstring, functions first."""
    import kardia

    found = {name: getattr(kardia, name) for name in kardia.__all__ if not name.startswith("__")}
    errors = [name for name, value in found.items() if inspect.isclass(value) and issubclass(value, Exception)]
    classes = [name for name, value in found.items() if inspect.isclass(value) and name not in errors]
    functions = [name for name in found if name not in (*errors, *classes)]
    return "\n\n".join(
        f"## {title}\n\n" + "\n\n".join(_directive(kind, name, found[name]) for name in names)
        for title, kind, names in (
            ("Functions", "autofunction", functions),
            ("Classes", "autoclass", classes),
            ("Errors", "autoexception", errors),
        )
    )


def _directive(kind: str, name: str, value: Any) -> str:
    lines = [f".. {kind}:: kardia.{name}", "   :no-index-entry:"]
    page = FORMATS.get(name)
    if kind != "autofunction":
        lines.append("   :show-inheritance:")
    if page is not None:
        # its fields are keys that people write, and are explained on a page of their own
        kinds = (property, cached_property, FunctionType)
        own = {each: what for each, what in vars(value).items() if not each.startswith(("_", "model_"))}
        shown = [each for each, what in own.items() if isinstance(what, kinds)]
        lines.append(f"   :members: {', '.join(shown)}")
        said = f"\n\nIts fields are the keys of [{page[0]}]({page[1]})."
    else:
        lines += [] if kind == "autofunction" else ["   :members:"]
        said = ""
    return f"### {name}\n\n```{{eval-rst}}\n" + "\n".join(lines) + f"\n```{said}"


# Markdown


def _title(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _bounds(least: float | None, most: float | None) -> str:
    # what a machine word holds is no bound that somebody meets
    least = None if least is not None and abs(least) >= 2**31 else least
    most = None if most is not None and abs(most) >= 2**31 else most
    if least is None and most is None:
        return ""
    if most is None:
        return f" from {least:g}"
    return f" up to {most:g}" if least is None else f" from {least:g} to {most:g}"


def _plain(text: str) -> str:
    """Help as Markdown: outside of code, what Markdown would take for markup is itself."""
    pieces = re.split(r"(`[^`]*`)", text.replace("\\[", "["))
    return "".join(each if number % 2 else re.sub(r"([<>*\[\]|])", r"\\\1", each) for number, each in enumerate(pieces))


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines)
