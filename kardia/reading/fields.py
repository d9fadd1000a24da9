"""The names that a row's columns may have, beside those that become metadata."""

from __future__ import annotations

__all__ = ["FIELDS", "FORMS", "FORM_FIELDS", "METADATA_FIELDS"]

FORMS: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "trl": ("prompt", "completion"),
    "flat": ("context", "response"),
}
METADATA_FIELDS = ("profile", "situation", "emotion", "reference", "group", "rubric")
FORM_FIELDS = tuple(name for names in FORMS.values() for name in names)
FIELDS = frozenset(("id", "metadata", *FORM_FIELDS))
