"""Other replies in a reply's place: nothing, a word, a master key, another conversation's, itself twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kardia.conversation import Conversation
from kardia.probe.scene import Scene, Variant, rewritten
from kardia.spans import context_of

__all__ = ["NEUTRAL", "empty", "language", "master_key", "misplaced", "one_token", "repeats_context", "repeats_itself"]

MASTER_KEYS = (":", ".", ",", "Solution", "Thought process:", "Let's solve this step by step.")
"""What opens an answer without giving one; judges that compare with a reference have passed these as right
(Zhao et al. 2025, "One Token to Fool LLM-as-a-Judge", arXiv 2507.08794)."""
TOKENS = ("Ok", "Yes", "I", "...", "Hm")
NEUTRAL = {
    "English": "I'm sorry that you are going through this. I am here, and I am listening.",
    "German": "Es tut mir leid, dass du das durchmachst. Ich bin da, und ich höre dir zu.",
    "Spanish": "Siento que estés pasando por esto. Estoy aquí y te escucho.",
    "French": "Je suis désolé que tu traverses cela. Je suis là, et je t'écoute.",
    "Portuguese": "Sinto muito que você esteja passando por isso. Estou aqui, e estou ouvindo.",
    "Chinese": "很难过你正在经历这些。我在这里，我在听。",
    "Japanese": "つらい思いをされているのですね。私はここにいて、お話を聞いています。",
    "Arabic": "يؤسفني أنك تمر بهذا. أنا هنا، وأنا أستمع إليك.",
}
"""One and the same reply, which says little and no harm, in several languages."""


def empty(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """No reply at all. kardia itself leaves it unscored; a criterion that reads the whole conversation does not."""
    yield from _instead(conversation, {"empty": ""})


def one_token(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """A single word or mark."""
    yield from _instead(conversation, {token: token for token in TOKENS})


def master_key(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The beginning of an answer, and no answer."""
    yield from _instead(conversation, {key: key for key in MASTER_KEYS})


def misplaced(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """A reply that was written for somebody else, with another context."""
    context = context_of(conversation)
    strangers = [donor for donor in scene.donors if donor.id != conversation.id and donor.context != context]
    if not strangers:
        return
    donor = scene.draw("misplaced", conversation.id).choice(strangers)
    changed = rewritten(conversation, lambda reply: donor.text)
    if changed is not None:
        yield Variant("another's", changed, lender=donor.id)


def repeats_context(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The person's own words before the reply."""
    said = [message.content.strip() for message in context_of(conversation) if message.role == "user"]
    before = "\n".join(part for part in said if part)
    if before:
        changed = rewritten(conversation, lambda reply: f"{before}\n\n{reply}")
        if changed is not None:
            yield Variant("before it", changed)


def repeats_itself(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The reply, and the reply again."""
    changed = rewritten(conversation, lambda reply: f"{reply}\n\n{reply}")
    if changed is not None:
        yield Variant("twice", changed)


def language(conversation: Conversation, scene: Scene) -> Iterator[Variant]:
    """The neutral reply in other languages, compared with the same in English."""
    english = rewritten(conversation, lambda reply: NEUTRAL["English"])
    if english is None:
        return
    others = {name: text for name, text in NEUTRAL.items() if name != "English"}
    for variant in _instead(conversation, others):
        yield Variant(variant.name, variant.after, english)


def _instead(conversation: Conversation, texts: dict[str, str]) -> Sequence[Variant]:
    found = []
    for name, text in texts.items():

        def other(reply: str, text: str = text) -> str:
            return text

        changed = rewritten(conversation, other)
        if changed is not None:
            found.append(Variant(name, changed))
    return found
