"""Lint on the source: prose that YAML has cut, also in files that are no rubric any more."""

from __future__ import annotations

from kardia.rubric.lint_source import cut_by_comment, missing_text, prose
from kardia.yamlfile import parse_yaml


def test_text_that_a_comment_swallowed_whole() -> None:
    document = parse_yaml("title: #1 in kindness\ncriteria:\n  - {id: a, question: }\n")
    found = {path: message for path, message, _ in missing_text(document)}
    assert found[("title",)] == "has no text: “#1 in kindness” is read as a comment"
    assert found[("criteria", 0, "question")] == "has no text"


def test_prose_is_found_where_keys_are_missing() -> None:
    document = parse_yaml("examples:\n  - {reply: Hi.}\n  - {context: [{role: user}, {content: Oh.}], reply: Ho.}\n")
    places = [place.path for place in prose(document.data)]
    assert places == [
        ("examples", 0, "reply"),
        ("examples", 1, "reply"),
        ("examples", 1, "context", 1, "content"),
    ]


def test_only_the_scalars_own_comment_counts() -> None:
    document = parse_yaml("title: Kind # a note about it\ndescription: It is warm.  # fine\n")
    assert [path for path, _, _ in cut_by_comment(document)] == [("title",)]
    cut = parse_yaml("title: Kindness to the #1 person\n")
    assert [path for path, _, _ in cut_by_comment(cut)] == [("title",)]
