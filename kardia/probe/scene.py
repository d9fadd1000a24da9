"""What a change may look at beside the conversation, and how a reply is changed where it stands."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from kardia.conversation import Conversation, Message
from kardia.rubric.rubric import Rubric
from kardia.spans import context_of, split_reply, target_of

__all__ = ["PARAPHRASES", "TRANSLATIONS", "Donor", "Scene", "Variant", "rewritten", "scene_of", "sentences"]

PARAPHRASES = "paraphrases"
TRANSLATIONS = "translations"
"""The metadata's keys with a user's own paraphrases and translations, unless others are named."""
_MARK = "kardia probe 0d4be1"


@dataclass(frozen=True, slots=True)
class Donor:
    """A reply that another conversation may be given.

    Attributes:
        id: of the conversation that it is taken from.
        context: the messages that it answers.
        text: what the person reads of it.
    """

    id: str
    context: tuple[Message, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What all changes of a run share.

    Attributes:
        rubric: by which is judged.
        seed: what is drawn with it is drawn again by equal seeds.
        donors: every reply of the run.
        paraphrases, translations: the metadata's keys that hold them.
    """

    rubric: Rubric
    seed: int = 7
    donors: tuple[Donor, ...] = ()
    paraphrases: str = PARAPHRASES
    translations: str = TRANSLATIONS

    def draw(self, *named: str) -> random.Random:
        """A generator for one purpose: it depends on the seed and on these names, and on nothing else."""
        text = "\0".join((str(self.seed), *named))
        return random.Random(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a conversation was changed.

    Attributes:
        name: of the way, such as a language; the same for all conversations.
        after: the changed conversation, under the original's id.
        before: what it is compared with; None: the original.
        lender: id of another conversation whose words it holds; None: there is none.
    """

    name: str
    after: Conversation
    before: Conversation | None = field(default=None)
    lender: str | None = None


def scene_of(
    conversations: Iterable[Conversation],
    rubric: Rubric,
    *,
    seed: int = 7,
    paraphrases: str = PARAPHRASES,
    translations: str = TRANSLATIONS,
) -> Scene:
    """The scene of a run over these conversations."""
    donors = []
    for conversation in conversations:
        text = target_of(conversation, "reply").text
        if text.strip():
            donors.append(Donor(conversation.id, context_of(conversation), text))
    return Scene(rubric, seed, tuple(donors), paraphrases, translations)


def rewritten(conversation: Conversation, change: Callable[[str], str | None]) -> Conversation | None:
    """The conversation with its reply changed; thinking and spans beside it, and all other messages, stay.

    Args:
        conversation: any.
        change: what the person reads of the reply → another text; None where it does not apply.

    Returns:
        None where the change does not apply or changes nothing, where there is no reply to be read, and where the
        reply's place among its thinking and spans is not plain.
    """
    index = conversation.reply_index
    content = conversation.messages[index].content
    reply = split_reply(content).reply.strip()
    if not reply:
        return None
    place = content.rfind(reply)
    if place < 0:
        return None
    head, tail = content[:place], content[place + len(reply) :]
    if (head + tail).strip() and split_reply(f"{head}{_MARK}{tail}").reply.strip() != _MARK:
        return None
    new = change(reply)
    if new is None or new == reply:
        return None
    messages = list(conversation.messages)
    messages[index] = Message("assistant", f"{head}{new}{tail}")
    return replace(conversation, messages=tuple(messages))


_OPENING = "\"'“‘«([*_-–¿¡#>"


def sentences(text: str) -> Sequence[str]:
    """The sentences of a text, without the space between them; a line break ends one, too.

    >>> sentences("I'm so sorry. What was he like? e.g. old, or young")
    ["I'm so sorry.", 'What was he like?', 'e.g. old, or young']
    """
    found: list[str] = []
    for line in text.splitlines():
        begun = 0
        for place in range(1, len(line)):
            if line[place].isspace() and line[place - 1] in ".!?…。！？":
                rest = line[place:].strip()
                # a small letter goes on with the sentence, unless a question or an exclamation came before it
                if rest and (line[place - 1] != "." or not rest[0].islower() or line[begun:place].count(" ") > 1):
                    found.append(line[begun:place].strip())
                    begun = place
        found.append(line[begun:].strip())
    return [sentence for sentence in found if sentence]
