"""What a careful reader sees in the wording of a question or a level; English words, silent on other languages.

Nothing here understands a sentence. Each test looks for one shape that is nearly always a fault, and stays silent
where it is not sure: a finding that is wrong teaches an author to ignore findings.
"""

from __future__ import annotations

import difflib
import re

from kardia.rubric.diff_text import words_of

__all__ = ["alike", "content_words", "differ_in_degree_only", "double_barrelled", "is_label", "overlap"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _groups(text: str) -> tuple[frozenset[str], ...]:
    return tuple(_words(group) for group in text.split("/") if group.strip())


# Words of one group mean nearly the same thing, so that joining two of them asks one thing.
_KIN = _groups(
    """
    warm kind caring friendly gentle compassionate tender warmth kindness care friendliness gentleness compassion
      concern warmly kindly gently /
    empathic empathetic empathy understanding empathically /
    polite respectful courteous civil politeness respect courtesy politely respectfully /
    accurate correct true truthful factual right accuracy correctness truth accurately correctly truthfully
      precise exact /
    safe harmless safety safely /
    clear understandable plain readable simple easy intelligible clarity clearly plainly legible lucid /
    fluent natural fluency naturally idiomatic grammatical /
    relevant pertinent relevance apt fitting /
    helpful useful helpfulness usefulness helpfully practical /
    honest sincere open candid transparent honesty sincerity openness honestly openly frank /
    specific concrete specificity specifically concretely particular detailed /
    short brief concise brevity briefly concisely succinct /
    calm steady composed collected measured calmly /
    rude hostile insulting contemptuous demeaning disrespectful rudeness hostility contempt scornful mocking /
    cold distant impersonal detached coldness coldly /
    dismissive belittling minimising minimizing invalidating /
    judgmental blaming moralising moralizing preachy judgemental /
    consistent coherent consistency coherence consistently coherently /
    complete thorough completeness completely thoroughly exhaustive /
    supportive encouraging supportively /
    thoughts feelings emotions experiences moods /
    mean cruel unkind meanness cruelty /
    """
)
_QUALITIES = frozenset().union(*_KIN)

_KIN_VERBS = _groups(
    """
    say state imply suggest hint claim mention assert indicate /
    name label describe identify express voice /
    minimise minimize belittle dismiss invalidate downplay trivialise trivialize /
    blame shame scold accuse reproach criticise criticize /
    mock ridicule insult demean /
    acknowledge recognise recognize validate notice /
    ask inquire enquire probe question /
    comfort console soothe reassure /
    encourage urge advise recommend /
    help support assist /
    repeat restate paraphrase rephrase /
    stop end leave abandon /
    """
)
_VERBS = _words(
    "accept acknowledge advise affirm agree allow apologise apologize ask assert assist avoid belittle bring "
    "check claim clarify confirm congratulate connect contain contradict correct criticise criticize deny "
    "describe direct dismiss disclose encourage end ensure enquire explain explore express focus follow give "
    "identify ignore imply include inform inquire invite invalidate justify keep leave let list listen lecture "
    "make mention minimise minimize mock normalise normalize notice offer open paraphrase probe propose provide "
    "push quote reassure recognise recognize recommend refer reflect reject remain remind repeat rephrase respond "
    "restate say scold seek send set share show soothe speak state stay steer stop suggest summarise summarize "
    "take teach tell turn urge validate warn write"
)
_VERBS_OR_NOUNS = _words(
    "address answer act blame care comfort console guide harm help hint hope judge label link love name plan "
    "point praise promise question reach respect shame support talk thank treat trust use voice welcome"
)
_ALL_VERBS = _VERBS | _VERBS_OR_NOUNS
_BE = _words("is are was were")
_DO = _words("does do did can could will would should may might must")
_AUXILIARIES = _BE | _DO | _words("has have had")
_SUBJECTS = _words("it they he she this that these those there the a an its their his her any every each one you we i")
_PREPOSITIONS = _words(
    "about above across after against among around as at before behind below beside between beyond by during for "
    "from in inside into like near of off on onto out over past per since through throughout to toward towards "
    "under until upon via with within without"
)
_SUBORDINATORS = _words(
    "that which who whom whose what when where why how whether if because although though while so than unless"
)
_SKIPPED = _words("also then even both not never always still just very quite really too actually")
_CONJUNCTIONS = {"and", "or", "and/or", "&", "but"}

_TOKEN = re.compile(r"[^\W\d_][\w'’/-]*|&|\d+|[,;:?.!]")


def double_barrelled(question: str, *, alternatives: bool = False) -> str | None:
    """Two judgements in one question, named as `“polite” and “does it give correct advice”`; None where there is one.

    Args:
        question: the criterion's question.
        alternatives: whether `or` may name the ends of a scale ("warm or cold?"): true for anything but a binary scale.

    >>> double_barrelled("Is the reply warm and accurate?")
    '“warm” and “accurate”'
    >>> double_barrelled("Does the reply take the person's thoughts and feelings seriously?")
    """
    text = re.sub(r"\([^)]*\)|“[^”]*”|\"[^\"]*\"", " ", question)
    asked = [part for part in re.split(r"(?<=[?.!])\s+", text.strip()) if part]
    questions = [part for part in asked if part.endswith("?")]
    if len(questions) > 1:
        return f"“{questions[0].strip()}” and “{questions[1].strip()}”"
    for part in questions or asked:
        found = _joined(
            re.sub(r"\b(as well as|and also|but also|while also|in addition to)\b", "and", part), alternatives
        )
        if found is not None:
            return found
    return None


def _joined(sentence: str, alternatives: bool) -> str | None:
    tokens = [token.lower().replace("’", "'") for token in _TOKEN.findall(sentence)]
    for index, token in enumerate(tokens):
        if token not in _CONJUNCTIONS or (token == "or" and alternatives):
            continue
        left = [word for word in tokens[:index] if word not in ",;:"]
        right = [word for word in tokens[index + 1 :] if word not in "?.!"]
        while right and (right[0] in _SKIPPED or right[0] == ","):
            right = right[1:]
        if not left or not right:
            continue
        both = any(test(left, right) for test in (_second_question, _second_predicate, _second_verb, _second_quality))
        if both or (token == "and" and "both" in left[1:]):
            word = "or" if token == "or" else "and"
            return f"“{_tail(left)}” {word} “{_head(right)}”"
    return None


def _head(words: list[str]) -> str:
    return " ".join(words[:6]).replace(" ,", ",")


def _tail(words: list[str]) -> str:
    return words[-1] if len(words) < 7 or words[-1] in _QUALITIES else " ".join(words[-3:])


def _second_question(left: list[str], right: list[str]) -> bool:
    """… and does it give correct advice?"""
    if right[0] in _AUXILIARIES and len(right) > 1:
        return right[1] in _SUBJECTS
    return right[0] in ("how", "to") and left[0] in ("how", "to") and any(word in _AUXILIARIES for word in right[1:4])


def _second_predicate(left: list[str], right: list[str]) -> bool:
    """Is the reply warm and accurate? How warm and accurate is it? The reply is warm and accurate."""
    first, second = left[-1], _without_adverbs(right)
    if not second or _kin(first, second[0], _KIN):
        return False
    rest = second[1] if len(second) > 1 else None
    if second[0] in _PREPOSITIONS | _SUBORDINATORS | _AUXILIARIES or second[0] in ("a", "an", "the"):
        return False
    if left[0] == "how" and len(left) <= 3 and not any(word in _AUXILIARIES for word in left):
        return rest in _AUXILIARIES
    if any(word in _SUBORDINATORS for word in left):
        return False
    ends = rest is None or rest in _PREPOSITIONS or rest in (",", "and", "or", "enough")
    if left[0] in _BE:
        subject_done = len(left) >= 4 or (len(left) == 3 and left[1] in _SUBJECTS - {"the", "a", "an"})
        return ends and subject_done and not any(word in _PREPOSITIONS for word in left)
    return ends and len(left) > 2 and left[-2] in _BE


def _second_verb(left: list[str], right: list[str]) -> bool:
    """Does the reply name the feeling and give advice? The reply names the feeling and gives advice."""
    second = _without_adverbs(right)
    if not second:
        return False
    verb, rest = second[0], second[1] if len(second) > 1 else None
    if any(word in _DO for word in left):
        if verb not in _ALL_VERBS or (verb in _VERBS_OR_NOUNS and not _has_object(rest)):
            return False
    elif (
        left[0] in _AUXILIARIES | _SUBORDINATORS or _base(verb) is None or any(word in _SUBORDINATORS for word in left)
    ):
        return False
    verb = _base(verb) or verb
    if _kin(_base(left[-1]) or left[-1], verb, _KIN_VERBS):
        return False
    for place in range(len(left) - 1, 0, -1):
        if left[place] in _ALL_VERBS:  # “help the person to name and accept it”: both belong to what follows `to`
            return not (left[place - 1] == "to" or _helped(left[:place]))
    return True


def _second_quality(left: list[str], right: list[str]) -> bool:
    """Does the reply show empathy and accuracy?"""
    second = _without_adverbs(right)
    return bool(second and left[-1] in _QUALITIES and second[0] in _QUALITIES and not _kin(left[-1], second[0], _KIN))


def _helped(left: list[str]) -> bool:
    """“help the person” before a bare infinitive."""
    return any(word in ("help", "helps", "let", "lets", "make", "makes") for word in left[-4:])


def _has_object(word: str | None) -> bool:
    ends = _PREPOSITIONS | _SUBORDINATORS | _AUXILIARIES | _CONJUNCTIONS | {",", ";", ":"}
    return word is not None and word not in ends


def _without_adverbs(words: list[str]) -> list[str]:
    kept = words
    while kept and kept[0].endswith("ly") and len(kept) > 1 and kept[0] not in _QUALITIES:
        kept = kept[1:]
    if len(kept) > 1 and kept[0] in _QUALITIES and kept[0].endswith("ly") and kept[1] in _ALL_VERBS:
        kept = kept[1:]
    return kept


def _base(word: str) -> str | None:
    """A verb's base form from its third person: `gives` → `give`."""
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + instead in _ALL_VERBS:
            return word[: -len(ending)] + instead
    return None


def _kin(a: str, b: str, groups: tuple[frozenset[str], ...]) -> bool:
    return a == b or any(a in group and b in group for group in groups)


_DEGREES = _words(
    "very slightly somewhat rather quite fairly extremely highly mostly moderately partly partially fully "
    "completely totally entirely really truly strongly weakly little bit more less most least much largely mainly "
    "generally especially particularly deeply greatly exceptionally mildly minimally considerably substantially "
    "significantly reasonably quite thoroughly absolutely barely well so too a"
)
_OPPOSITES = _words(
    "no not none never nothing nobody nowhere without neither nor one two three several all both only each every "
    "most some few many any always sometimes once twice first second other another before after or and but cannot "
    "n't isn't doesn't"
)
_LABELS = _words(
    "poor bad fair good great excellent average ok okay low medium high weak strong none mild moderate severe "
    "minimal partial full adequate inadequate satisfactory unsatisfactory worst best terrible perfect acceptable "
    "unacceptable yes no"
)


def differ_in_degree_only(a: str, b: str) -> bool:
    """Whether two level texts are one text with another intensity (`somewhat warm`, `very warm`)."""
    left = [word for word in words_of(a).split() if word not in _DEGREES]
    right = [word for word in words_of(b).split() if word not in _DEGREES]
    return left == right and bool(left)


def alike(a: str, b: str) -> bool:
    """Whether two longer texts are nearly the same; a negation or a number that differs makes a real difference."""
    left, right = words_of(a).split(), words_of(b).split()
    if min(len(left), len(right)) < 8:
        return False
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < 0.9:
        return False
    changed: set[str] = set()
    for operation, i1, i2, j1, j2 in matcher.get_opcodes():
        if operation != "equal":
            changed |= {*left[i1:i2], *right[j1:j2]}
    return not any(word in _OPPOSITES or word.isdigit() for word in changed)


def is_label(text: str, level: int | str) -> bool:
    """Whether a level's text only repeats its number or name, or is a bare grade such as `good`."""
    words = words_of(text).split()
    named = {*words_of(str(level)).split(), "level", "score", "rating", "option"}
    return all(word in named for word in words) or all(word in _LABELS | _DEGREES | named for word in words)


_STOP = (
    _AUXILIARIES
    | _PREPOSITIONS
    | _SUBORDINATORS
    | _words(
        "a an the reply response answer message assistant chatbot it its person user people they them their he "
        "she his her him this these those there far well much many closely and or be been being any some "
        "something someone somebody way kind extent degree level overall"
    )
) - {"without", "against"}
_ENDINGS = ("ations", "ation", "ings", "ing", "edly", "ness", "ment", "ally", "ies", "ed", "ly", "es", "s", "e", "y")


def content_words(text: str) -> frozenset[str]:
    """The stems of the words that carry a question's meaning."""
    stems: set[str] = set()
    for word in words_of(text.replace("'s", "").replace("’s", "")).split():
        if word in _STOP:
            continue
        ending = next((one for one in _ENDINGS if word.endswith(one) and len(word) - len(one) >= 3), "")
        stems.add(word[: len(word) - len(ending)])
    return frozenset(stems)


def overlap(a: str, b: str) -> float:
    """Shared content words over all content words, in [0, 1]."""
    left, right = content_words(a), content_words(b)
    if not left or not right:
        return 1.0 if words_of(a) == words_of(b) else 0.0
    return len(left & right) / len(left | right)
