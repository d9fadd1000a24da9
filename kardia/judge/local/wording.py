"""Messages as the tokens that a model reads: through its own chat template.

A model's thinking is switched off where its template knows how (`enable_thinking`), and a thought that the template
opens is closed: kardia's templates ask for the reasoning, or for none. Where a template knows no system message, it
goes in front of the first message of the user. What the model's tokenizer takes for a control token is defused in the
messages, whatever it is: judged text must not open a turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from kardia.errors import ProfileError
from kardia.judge.protocol import ChatMessage

__all__ = ["Wording"]

_OPEN_THOUGHT = re.compile(r"<think(?:ing)?>\s*\Z")
MAX_TAILS = 4096
_MARKS = str.maketrans("<>[]|", "\u2039\u203a\u27e6\u27e7\u00a6")
"""What control tokens are made of, and what looks like it."""


class Wording:
    """Words a model's prompts.

    Args:
        tokenizer: a fast tokenizer with a chat template.
        ends: the tokens that end a turn.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ends = tuple(ends)
        self._has_system: bool | None = None
        self._specials = frozenset(tokenizer.all_special_ids) | frozenset(
            place for place, token in tokenizer.added_tokens_decoder.items() if token.special
        )
        controls = sorted(self._control_texts(), key=len, reverse=True)
        self._controls = re.compile("|".join(map(re.escape, controls))) if controls else None
        self._tails: dict[tuple[str, str], tuple[int, ...]] = {}

    def _control_texts(self) -> set[str]:
        texts = {str(self._tokenizer.convert_ids_to_tokens(place)) for place in self._specials}
        return {text for text in texts if text.translate(_MARKS) != text}

    def text(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt, up to where the answer begins.

        Raises:
            ProfileError: where the chat template cannot be rendered.
        """
        rendered = self._rendered([{"role": each.role, "content": self._plain(each.content)} for each in messages])
        thought = _OPEN_THOUGHT.search(rendered)
        if thought is not None:
            rendered = f"{rendered[: thought.end()].rstrip()}\n\n</{thought.group().strip()[1:-1]}>\n\n"
        return rendered

    def tokens(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of rendered prompts."""
        if not texts:
            return []
        return [
            tuple(ids) for ids in self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        ]

    def answered(self, text: str, tokens: tuple[int, ...], answers: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """The tokens of a prompt with each of these answers after it.

        The whole is what counts, since an answer's first letters may share a token with the prompt's last ones. What
        follows the last special token of the prompt is tokenised anew, for no token reaches across that one.

        Args:
            text: of the prompt.
            tokens: of the prompt.
            answers: such as labels.
        """
        place = next((at for at in range(len(tokens) - 1, -1, -1) if tokens[at] in self._specials), None)
        if place is not None:
            special = self._tokenizer.convert_ids_to_tokens(tokens[place])
            _, found, tail = text.rpartition(special)
            if found and self._tail(special, tail) == tokens[place:]:
                return {answer: tokens[:place] + self._tail(special, tail + answer) for answer in answers}
        wanted = list(answers)
        return dict(zip(wanted, self.tokens([text + answer for answer in wanted]), strict=True))

    def end(self) -> int:
        """The token that follows an answer."""
        said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "yes"}]
        rendered = self._tokenizer.apply_chat_template(said, tokenize=False, enable_thinking=False)
        after = self.tokens([rendered[rendered.rindex("yes") + 3 :]])[0] if "yes" in rendered else ()
        return after[0] if after and after[0] in self._specials else self._ends[0]

    def _plain(self, content: str) -> str:
        """Without what this very tokenizer would take for a control token, or could not read at all."""
        if not content.isascii():
            content = content.encode("utf-8", "replace").decode()  # half a surrogate pair
        return content if self._controls is None else self._controls.sub(_defused, content)

    def _tail(self, special: str, tail: str) -> tuple[int, ...]:
        known = self._tails.get((special, tail))
        if known is None:
            if len(self._tails) >= MAX_TAILS:
                self._tails.clear()
            known = self._tails[special, tail] = self.tokens([special + tail])[0]
        return known

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        from jinja2.exceptions import TemplateError

        system = messages[0]["content"] if messages[0]["role"] == "system" else None
        if system is not None and self._has_system is None:
            self._has_system = self._knows_system()
        if system is not None and not self._has_system:
            messages = [{"role": "user", "content": f"{system}\n\n{messages[1]['content']}"}, *messages[2:]]
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except (TemplateError, TypeError, ValueError) as problem:
            raise ProfileError(f"the model's chat template cannot be rendered: {problem}", key="model") from None
        return rendered

    def _knows_system(self) -> bool:
        """Whether a system message comes through the chat template at all."""
        from jinja2.exceptions import TemplateError

        said = [{"role": "system", "content": "kardia-asks"}, {"role": "user", "content": "?"}]
        try:
            return "kardia-asks" in self._tokenizer.apply_chat_template(
                said, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        except (TemplateError, TypeError, ValueError):
            return False


def _defused(token: re.Match[str]) -> str:
    return token.group().translate(_MARKS)
