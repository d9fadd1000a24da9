"""What is judged in a run: every conversation as it is, and every changed one, each text once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from kardia.conversation import Conversation, Message
from kardia.probe.catalogue import Probe
from kardia.probe.scene import Scene, Variant
from kardia.spans import context_of, target_of

__all__ = ["Case", "Design", "group_of", "plan_cases"]


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation, before and after.

    Attributes:
        probe: the probe's name.
        variant: in which way it was changed.
        group: what is independent of other groups, such as the replies to one prompt.
        before, after: places in `Design.texts`.
    """

    probe: str
    variant: str
    group: Hashable
    before: int
    after: int


@dataclass(slots=True)
class Design:
    """All that is to be judged.

    Attributes:
        texts: each conversation, as it is or changed, once; the originals come first.
        originals: how many they are.
        cases: what is compared with what.
        pairs: two originals that answer the same context, for the order's sake: their places, and their group.
        untouched: probe → to how many conversations it does not apply.
        lenders: place of a text → id of the conversation that lent its words.
    """

    texts: list[Conversation] = field(default_factory=list)
    originals: int = 0
    cases: list[Case] = field(default_factory=list)
    pairs: list[tuple[int, int, Hashable]] = field(default_factory=list)
    untouched: Counter[str] = field(default_factory=Counter)
    lenders: dict[int, set[str]] = field(default_factory=dict)
    _places: dict[tuple[str, tuple[Message, ...]], int] = field(default_factory=dict)

    @property
    def groups(self) -> int:
        """How many independent groups the originals make."""
        return len({group_of(conversation) for conversation in self.texts[: self.originals]})

    def add(self, conversation: Conversation) -> int:
        """The conversation's place; that of an equal one, where there is one."""
        key = (conversation.id, conversation.messages)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.texts)
            self.texts.append(conversation)
        return place


def group_of(conversation: Conversation) -> Hashable:
    """The row's group, else the conversation itself; no row's group is another row's id."""
    return ("id", conversation.id) if conversation.group is None else ("group", str(conversation.group))


def plan_cases(
    conversations: Sequence[Conversation], probes: Sequence[Probe], scene: Scene, *, every_variant: bool = False
) -> Design:
    """Changes every conversation by every probe.

    Args:
        conversations: as they are.
        probes: what is tried; those without a change are left to others, but for the pairs that `order` needs.
        scene: of these conversations.
        every_variant: whether a conversation is changed in all of a probe's ways, and not in one that is drawn for it.
    """
    design = Design()
    for conversation in conversations:
        design.add(conversation)
    design.originals = len(design.texts)
    for place, conversation in enumerate(design.texts[: design.originals]):
        group = group_of(conversation)
        for probe in probes:
            if probe.change is None:
                continue
            variants = list(probe.change(conversation, scene))
            if not variants:
                design.untouched[probe.name] += 1
                continue
            if not every_variant:
                variants = [scene.draw("variant", probe.name, conversation.id).choice(variants)]
            for variant in variants:
                _add_case(design, probe.name, variant, place, group)
    if any(probe.name == "order" for probe in probes):
        design.pairs = _pairs(design.texts[: design.originals])
    return design


def _add_case(design: Design, probe: str, variant: Variant, place: int, group: Hashable) -> None:
    before = place if variant.before is None else design.add(variant.before)
    after = design.add(variant.after)
    if variant.lender is not None:
        design.lenders.setdefault(after, set()).add(variant.lender)
    design.cases.append(Case(probe, variant.name, group, before, after))


def _pairs(conversations: Sequence[Conversation]) -> list[tuple[int, int, Hashable]]:
    """Neighbours among the different replies to one context."""
    by_context: dict[tuple[Message, ...], dict[str, int]] = {}
    for place, conversation in enumerate(conversations):
        text = target_of(conversation, "reply").text
        if text.strip():
            by_context.setdefault(context_of(conversation), {}).setdefault(text, place)
    return [
        (one, other, group_of(conversations[one]))
        for places in by_context.values()
        for one, other in pairwise(places.values())
    ]
