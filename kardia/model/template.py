"""The chat template of an exported reward model: it writes what a student reads, separators included. Pure.

Trainers hand a reward model's tokenizer the messages, and tokenise what the template makes of them without adding a
token and without cutting anything. So the template itself does what `Reading.texts` does: joins what was said, takes
special tokens out of it, cuts it, and puts the encoder's separators where they belong.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from kardia.student.reading import GAP, Reading, parted

__all__ = ["chat_template"]


def chat_template(reading: Reading, specials: Sequence[str], before: str, between: str, after: str) -> str:
    """A Jinja template over `messages`, of which the last one is the judged reply.

    A thinking block in the reply, which nobody is meant to read, is left out.

    Args:
        specials: the tokenizer's special tokens, as `special_tokens` gives them.
        before, between, after: the texts of the separators around context and reply.
    """
    half = reading.reply_chars // 2
    clean = "".join(f" | replace({_text(each)}, {_text(parted(each))})" for each in specials)
    cut = f"context[-{reading.context_chars}:]" if reading.context_chars else "''"
    return "".join(
        (
            "{%- set said = namespace(text='') -%}",
            "{%- for message in messages[:-1] if message['role'] in ['user', 'assistant'] -%}",
            "{%- set part = message['content'] -%}",
            "{%- if message['role'] == 'assistant' -%}{%- set part = part.split('</think>')[-1] -%}{%- endif -%}",
            "{%- set part = part | trim -%}",
            "{%- if part -%}",
            "{%- set said.text = said.text ~ ('\\n' if said.text else '') ~ part -%}",
            "{%- endif -%}{%- endfor -%}",
            "{%- set context = (said.text" + clean + ") | trim -%}",
            "{%- set reply = messages[-1]['content'].split('</think>')[-1] -%}",
            "{%- set reply = (reply" + clean + ") | trim -%}",
            "{%- if reply | length > " + str(reading.reply_chars) + " -%}",
            "{%- set reply = reply[:" + str(half) + "] ~ " + _text(GAP) + " ~ reply[-" + str(half) + ":] -%}",
            "{%- endif -%}",
            "{{- " + _text(before) + " ~ " + cut + " ~ " + _text(between) + " ~ reply ~ " + _text(after) + " -}}",
        )
    )


def _text(value: str) -> str:
    """A Jinja string: JSON's escapes are Jinja's too."""
    return json.dumps(value, ensure_ascii=False)
