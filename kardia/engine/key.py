"""The name under which an answer is stored: a digest of everything that determines it, and of nothing else.

A key covers the rendered prompt, the schema or labels that the answer obeys, the mode, the sample's number, how answers
are read (`ANSWER_FORMAT`), and the judge's `identity`. It leaves out what can change while the answer stays right: the
conversation's id, weights and prices, limits, the other criteria, and a criterion's id where the prompt does not show
it. For judges that read no prompts it covers what they read instead. Every part has its length before it, so that no
two different lists of parts are the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from kardia.answer import ANSWER_FORMAT
from kardia.byobject import by_object
from kardia.conversation import Conversation
from kardia.judge.protocol import ChatMessage, Judge, Request
from kardia.rubric.models import Example
from kardia.rubric.rubric import Rubric

__all__ = ["KEY_BYTES", "answer_key", "identity_of"]

KEY_BYTES = 20

_FORMAT = b"kardia answer 1"
"""Moves when keys are made in another way: then nothing that is stored is found again."""
_MAX_KNOWN = 512

# What many requests share is digested once for the very objects they share; the objects are kept with their digest, so
# that nothing else can come to stand at their addresses.
_asked: dict[tuple[Any, ...], tuple[tuple[object, ...], bytes]] = {}


def identity_of(judge: Judge) -> bytes | None:
    """The digest of a judge's `identity`; None where it has none: its answers are not stored."""
    identity: str | None = getattr(judge, "identity", None)
    return None if identity is None else _digest([_bytes(identity)])


def answer_key(request: Request, identity: bytes) -> bytes:
    """The key of a request's answer: `KEY_BYTES` bytes.

    Args:
        request: what is asked.
        identity: of the judge who is asked, as `identity_of` gives it.
    """
    messages = request.messages
    if not messages:
        return _digest(_parts_without_words(request, identity))
    system = messages[0] if messages[0].role == "system" else None
    place = (identity, request.mode, id(request.schema), id(request.labels), id(system))
    known = _asked.get(place)
    shared = known[1] if known is not None else _shared(request, system, identity, place)
    rest = messages if system is None else messages[1:]
    whole = b"%b%d:%d:" % (shared, request.sample, len(rest))
    for message in rest:
        role, content = message.role.encode(), _bytes(message.content)
        whole += b"%d:%b%d:%b" % (len(role), role, len(content), content)
    if request.candidates:
        whole += _joined([_bytes(text) for text in request.candidates])
    return blake2b(whole, digest_size=KEY_BYTES).digest()


def _shared(request: Request, system: ChatMessage | None, identity: bytes, place: tuple[Any, ...]) -> bytes:
    labels = None if request.labels is None else list(request.labels.items())
    parts = [_FORMAT, identity, b"%d" % ANSWER_FORMAT, _bytes(request.mode), _json(request.schema), _json(labels)]
    if system is not None:
        parts.append(_bytes(system.content))
    if len(_asked) >= _MAX_KNOWN:
        _asked.clear()
    digest = _digest(parts)
    _asked[place] = ((request.schema, request.labels, system), digest)
    return digest


def _parts_without_words(request: Request, identity: bytes) -> list[bytes]:
    """What a judge that reads no prompt can go by: the rubric, the conversation, the metadata that the rubric names."""
    target, metadata = request.target, request.conversation.metadata
    background = {name: metadata[name] for name in request.rubric.metadata if name in metadata}
    return [
        _FORMAT,
        identity,
        b"%d %d" % (ANSWER_FORMAT, request.sample),
        _bytes(request.mode),
        _of_rubric(request.rubric),
        _of_messages(request.conversation),
        _json(background) if background else b"",
        _bytes(f"{target.kind} {target.message} {target.reads}"),
        _bytes(target.text),
        b"%d" % len(request.criteria),
        *[_bytes(criterion.id) for criterion in request.criteria],
        *[_bytes(text) for text in request.candidates],
    ]


@by_object(most=16)
def _of_messages(conversation: Conversation) -> bytes:
    return _digest([_bytes(text) for message in conversation.messages for text in (message.role, message.content)])


@by_object(most=16)
def _of_rubric(rubric: Rubric) -> bytes:
    """A rubric's hash, and its examples: a copy that does not know all of them has the same hash."""
    return _digest([_bytes(rubric.hash), _of_examples(rubric.examples)])


@by_object(most=16)
def _of_examples(examples: tuple[Example, ...]) -> bytes:
    shown = [
        [
            item.context if isinstance(item.context, str) else [[turn.role, turn.content] for turn in item.context],
            item.reply,
            item.levels,
        ]
        for item in examples
    ]
    return _digest([_json(shown)])


def _digest(parts: Sequence[bytes]) -> bytes:
    return blake2b(_joined(parts), digest_size=KEY_BYTES).digest()


def _joined(parts: Sequence[bytes]) -> bytes:
    return b"".join([b"%d:%b" % (len(part), part) for part in parts])


def _json(value: Mapping[str, Any] | Sequence[Any] | None) -> bytes:
    """Canonical, but for the order of an object's keys: the order of a schema's properties is that of the answer's."""
    return _bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
