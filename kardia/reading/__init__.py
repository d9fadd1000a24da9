"""From files to conversations: rows of every format, checked as a whole before anything is scored."""

from __future__ import annotations

from kardia.reading.checked import Source, Survey, read_conversations
from kardia.reading.files import RawRow, open_rows, open_stream
from kardia.reading.rows import conversation_from_row, parse_map

__all__ = [
    "RawRow",
    "Source",
    "Survey",
    "conversation_from_row",
    "open_rows",
    "open_stream",
    "parse_map",
    "read_conversations",
]
