"""One row → a Conversation, or a sentence about what is wrong with it and under which key.

Four forms are recognised: `messages`; ShareGPT's `conversations: [{from, value}]`; TRL's `prompt` + `completion`; and
`context` + `response` (`reply` is another name for `response`). Everything else in a row is metadata.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from kardia.conversation import ROLES, Conversation, Message
from kardia.errors import ConversationError
from kardia.reading.fields import FIELDS, FORM_FIELDS, FORMS, METADATA_FIELDS
from kardia.reading.jsontext import JsonFault, parse_json
from kardia.reading.ordinary import MAX_DEPTH, ordinary_conversation

__all__ = ["FORMS", "METADATA_FIELDS", "conversation_from_row", "parse_map", "row_id"]

_ROLES = frozenset(ROLES)
_SHAREGPT_ROLES = {
    **{role: role for role in ROLES},
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bing", "bard", "model", "function_call"), "assistant"),
    **dict.fromkeys(("observation", "function_response"), "tool"),
}
_TEXT_PARTS = frozenset(("text", "input_text", "output_text"))
_EXPECTED = "`messages`, `conversations`, `prompt` with `completion`, or `context` with `response`"


def parse_map(text: str) -> dict[str, str]:
    """Reads `--map reply=answer,context=question`: field ← column.

    Fields: reply (or response), context, prompt, completion, messages, conversations, id, metadata, the metadata fields
    that kardia knows (profile, situation, emotion, reference, group, rubric), and `metadata.<name>` for any other.

    Raises:
        ConversationError: an item that is not `field=column`, an unknown field, a field or a column named twice.
    """
    result: dict[str, str] = {}
    for item in text.split(","):
        name, equals, column = (part.strip() for part in item.partition("="))
        if not equals or not name or not column:
            message = f"{item.strip()!r} is not of the form field=column, such as reply=answer"
            raise ConversationError(message, file="--map")
        field = _canonical(name)
        if field in result:
            raise ConversationError("is named twice", file="--map", key=name)
        if column in result.values():
            raise ConversationError(f"takes the column {column!r}, which another field takes", file="--map", key=name)
        result[field] = column
    return result


def _canonical(name: str) -> str:
    if name == "reply":
        return "response"
    if name in METADATA_FIELDS:
        return f"metadata.{name}"
    if name in FIELDS or (name.startswith("metadata.") and len(name) > len("metadata.")):
        return name
    known = ("reply", *sorted(FIELDS), *METADATA_FIELDS)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}, metadata.<name>"
    raise ConversationError(f"is not a field of a conversation; {hint}", file="--map", key=name)


def conversation_from_row(
    row: Mapping[str, Any], default_id: str, mapping: Mapping[str, str] | None = None, *, cells: bool = False
) -> Conversation:
    """Reads one row.

    Contents are text, or a list of text parts, which are put together with nothing between them. An empty or blank
    `context` or `prompt` gives no message. A column that is null counts as absent. A mapping that names a column of a
    form decides which form is read; the columns of the others become metadata.

    Args:
        row: column → value, as JSON gives it.
        default_id: the id of a row that has none.
        mapping: field ← column, as `parse_map` gives it.
        cells: the row comes from a table of texts (CSV): a cell of `prompt`, `completion`, `context`, `response` or
            `profile` that holds a JSON list of messages, or a JSON object, is read as such.

    Raises:
        ConversationError: with the key; the caller knows the file and the line.
    """
    known = None if mapping or cells else ordinary_conversation(row, default_id)
    return _Row(row, mapping or {}, cells).conversation(default_id) if known is None else known


def row_id(row: Mapping[str, Any], mapping: Mapping[str, str] | None = None) -> str | None:
    """The id that a row states, for naming a bad row; None where there is none of use."""
    value = row.get((mapping or {}).get("id", "id"))
    if isinstance(value, str):
        return value.encode(errors="replace").decode() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


class _Row:
    def __init__(self, row: Mapping[str, Any], mapping: Mapping[str, str], cells: bool) -> None:
        self.cells = cells
        self.columns: dict[str, str] = {}  # field → the column it came from: the key in every message
        self.fields: dict[str, Any] = {}
        self.rest: dict[str, tuple[str, Any]] = {}  # metadata name → column and value
        self.mapped = {_canonical(field): column for field, column in mapping.items()} if mapping else {}
        taken = set(self.mapped.values())
        for field, column in self.mapped.items():
            if column not in row:
                raise ConversationError(f"has no such column; its columns are {_listing(row)}", key=column)
            self._put(field, column, row[column])
        for column, value in row.items():
            if column in taken:
                continue
            field = "response" if column == "reply" else column
            if field in FIELDS and field not in self.mapped:
                self._put(field, column, value)
            else:
                self._put(f"metadata.{column}", column, value)
        self.names = row.keys()

    def _put(self, field: str, column: str, value: Any) -> None:
        if value is None:
            return
        if field in self.columns:
            raise ConversationError(f"stands beside {self.columns[field]!r}; keep one of them", key=column)
        self.columns[field] = column
        if field.startswith("metadata."):
            self.rest[field[len("metadata.") :]] = (column, value)
        else:
            self.fields[field] = value

    def conversation(self, default_id: str) -> Conversation:
        own_id = self._id()
        form = self._form()
        messages = self._messages(form)
        if not any(message.role == "assistant" for message in messages):
            raise ConversationError("has no assistant reply", key=self.columns[FORMS[form][-1]])
        for field in FORM_FIELDS:
            if field in self.fields and field not in FORMS[form]:
                self.rest[self.columns[field]] = (self.columns[field], self.fields[field])
        return Conversation(default_id if own_id is None else own_id, messages, self._metadata())

    def _id(self) -> str | None:
        value = self.fields.get("id")
        if value is None:
            return None
        key = self.columns["id"]
        if isinstance(value, int) and not isinstance(value, bool):
            try:
                return str(value)
            except ValueError:
                raise ConversationError("is a number of too many digits", key=key) from None
        if not isinstance(value, str):
            raise ConversationError(f"must be text or a whole number, not {_kind(value)}", key=key)
        if not value.strip():
            raise ConversationError("must not be empty; leave it out to get <file>:<line>", key=key)
        return _text(value, key)

    def _form(self) -> str:
        """The one form that the row holds."""
        complete = [form for form, fields in FORMS.items() if fields[-1] in self.fields]
        if "trl" in complete and "prompt" not in self.fields:
            complete.remove("trl")
        if any(field in self.mapped for field in FORM_FIELDS):
            complete = [form for form in complete if any(field in self.mapped for field in FORMS[form])]
        if len(complete) > 1:
            both = " and ".join(self._naming(form) for form in complete)
            raise ConversationError(f"holds two conversations, {both}; say which with --map")
        if not complete:
            raise ConversationError(self._no_form())
        if complete == ["flat"] and "context" not in self.fields and "prompt" in self.fields:
            message = f"stands beside {self.columns['response']!r}; say --map context=prompt"
            raise ConversationError(message, key="prompt")
        return complete[0]

    def _naming(self, form: str) -> str:
        return " with ".join(f"`{self.columns[field]}`" for field in FORMS[form] if field in self.fields)

    def _no_form(self) -> str:
        for opening, closing in (FORMS["trl"], FORMS["flat"]):
            if opening in self.fields and closing not in self.fields:
                return f"has no reply: `{self.columns[opening]}` is there, `{closing}` is missing (name it with --map)"
        if "completion" in self.fields:
            column = self.columns["completion"]
            return f"has `{column}` without a `prompt`; say --map reply={column}"
        return f"has no messages: expected {_EXPECTED} (or --map); its columns are {_listing(self.names)}"

    def _messages(self, form: str) -> tuple[Message, ...]:
        if form in ("messages", "sharegpt"):
            field = FORMS[form][0]
            key = self.columns[field]
            value = self._list(self._decoded(self.fields[field], key), key)
            read = _message if form == "messages" else _sharegpt_message
            return tuple(read(item, key, index) for index, item in enumerate(value))
        opening, closing = FORMS[form]
        replies = self._turns(closing, "assistant")
        if not any(message.role == "assistant" for message in replies):
            raise ConversationError("has no assistant reply", key=self.columns[closing])
        return (*self._turns(opening, "user"), *replies)

    def _turns(self, field: str, role: str) -> tuple[Message, ...]:
        """A prompt, completion, context or response: text, or messages."""
        value = self.fields.get(field)
        if value is None:
            return ()
        key = self.columns[field]
        if self.cells:
            value = _messages_in_cell(value)
        if isinstance(value, str):
            return (Message(role, _text(value, key)),) if role == "assistant" or value.strip() else ()
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, (list, tuple)):
            raise ConversationError(f"must be text or a list of messages, not {_kind(value)}", key=key)
        return tuple(_message(item, key, index) for index, item in enumerate(value))

    def _list(self, value: Any, key: str) -> list[Any] | tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise ConversationError(f"must be a list of messages, not {_kind(value)}", key=key)
        if not value:
            raise ConversationError("has no messages", key=key)
        return value

    def _decoded(self, value: Any, key: str) -> Any:
        """JSON that was put into a text cell, as tables do with lists and objects."""
        if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
            return value
        try:
            return parse_json(value)
        except JsonFault as problem:
            hint = " (JSON has double quotes)" if "'" in value[:40] else ""
            raise ConversationError(f"is text that {problem}{hint}", key=key) from None

    def _metadata(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if "metadata" in self.fields:
            key = self.columns["metadata"]
            given = self._decoded(self.fields["metadata"], key)
            if not isinstance(given, Mapping):
                raise ConversationError(f"must be an object, not {_kind(given)}", key=key)
            for name, value in given.items():
                if value is not None:
                    _text(name, f"{key}.{name!a}")
                    result[name] = self._metadata_value(name, value, f"{key}.{name}")
        for name, (column, value) in self.rest.items():
            _text(name, ascii(name))
            checked = self._metadata_value(name, value, column)
            if name in result and result[name] != checked:
                message = f"stands in `{self.columns['metadata']}` and as a column, with different values"
                raise ConversationError(message, key=column)
            result[name] = checked
        return result

    def _metadata_value(self, name: str, value: Any, key: str) -> Any:
        if name == "rubric":
            value = self._decoded(value, key)
        elif name == "profile" and self.cells:
            value = _object_in_cell(value)
        _plain(value, key, 0)
        return value


def _message(item: Any, key: str, index: int) -> Message:
    if not isinstance(item, Mapping):
        raise ConversationError(f"must be a message with role and content, not {_kind(item)}", key=f"{key}.{index}")
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise ConversationError(_role_fault(item, role, ROLES), key=f"{key}.{index}.role")
    content = item.get("content")
    if isinstance(content, str):
        return Message(role, content if content.isascii() else _text(content, f"{key}.{index}.content"))
    if content is None and role == "assistant" and (item.get("tool_calls") or item.get("function_call")):
        return Message(role, "")
    return Message(role, _parts(content, f"{key}.{index}.content", "content" in item))


def _sharegpt_message(item: Any, key: str, index: int) -> Message:
    if isinstance(item, Mapping) and "role" in item and "from" not in item:
        return _message(item, key, index)  # a common mixture: ShareGPT's column with OpenAI's messages
    if not isinstance(item, Mapping):
        raise ConversationError(f"must be a message with from and value, not {_kind(item)}", key=f"{key}.{index}")
    speaker = item.get("from")
    role = _SHAREGPT_ROLES.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise ConversationError(_role_fault(item, speaker, _SHAREGPT_ROLES), key=f"{key}.{index}.from")
    value = item.get("value")
    where = f"{key}.{index}.value"
    return Message(role, _text(value, where) if isinstance(value, str) else _parts(value, where, "value" in item))


def _role_fault(item: Mapping[str, Any], role: Any, known: Iterable[str]) -> str:
    if role is None:
        mixed = "from" in item and "value" in item
        return "is missing" + ("; from and value belong under `conversations` (see --map)" if mixed else "")
    return f"is {_short(role)}; expected one of {', '.join(known)}"


def _parts(content: Any, key: str, present: bool) -> str:
    """The text of a content that is not plain text: a list of text parts."""
    if content is None:
        raise ConversationError("is null; expected text" if present else "is missing", key=key)
    if not isinstance(content, (list, tuple)):
        raise ConversationError(f"must be text or a list of text parts, not {_kind(content)}", key=key)
    if not content:
        raise ConversationError("is an empty list; expected text", key=key)
    texts = []
    for index, part in enumerate(content):
        text = part
        if isinstance(part, Mapping):
            kind = part.get("type")
            if kind not in _TEXT_PARTS:
                raise ConversationError(f"is a part of type {_short(kind)}; only text is judged", key=f"{key}.{index}")
            text = part.get("text")
        if not isinstance(text, str):
            raise ConversationError(f"must be a text part, not {_kind(text)}", key=f"{key}.{index}")
        texts.append(_text(text, f"{key}.{index}"))
    return "".join(texts)


def _text(value: str, key: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as problem:
            half = f"\\u{ord(value[problem.start]):04x}"
            raise ConversationError(f"holds half a character ({half}), which UTF-8 cannot write", key=key) from None
    return value


def _plain(value: Any, key: str, depth: int) -> None:
    """Checks that a metadata value can be written as JSON and UTF-8."""
    if isinstance(value, str):
        _text(value, key)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ConversationError(f"is {value}, which JSON cannot write", key=key)
    elif isinstance(value, (Mapping, list, tuple)):
        if depth >= MAX_DEPTH:
            raise ConversationError("is nested too deeply", key=key.partition(".")[0])
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if not isinstance(name, str):
                    raise ConversationError(f"has the key {_short(name)}; a key must be text", key=key)
                _text(name, f"{key}.{name!a}")
                _plain(inner, f"{key}.{name}", depth + 1)
        else:
            for index, inner in enumerate(value):
                _plain(inner, f"{key}.{index}", depth + 1)
    elif value is not None and not isinstance(value, (bool, int)):
        raise ConversationError(f"is {_kind(value)}, which JSON cannot write", key=key)


def _messages_in_cell(value: Any) -> Any:
    found = _json_in_cell(value)
    listed = isinstance(found, list) and found and all(isinstance(item, dict) and "role" in item for item in found)
    return found if listed else value


def _object_in_cell(value: Any) -> Any:
    found = _json_in_cell(value)
    return found if isinstance(found, (dict, list)) else value


def _json_in_cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return parse_json(value)
        except JsonFault:
            return None  # a text that happens to begin with a bracket
    return None


_SHOWN_TEXT = 40
_SHOWN_COLUMNS = 12
_KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), f"a {type(value).__name__}")


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"


def _listing(names: Iterable[Any]) -> str:
    found = [_short(name) for name in names]
    more = ", …" if len(found) > _SHOWN_COLUMNS else ""
    return ", ".join(found[:_SHOWN_COLUMNS]) + more if found else "none"
