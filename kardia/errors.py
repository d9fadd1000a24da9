"""What can go wrong, as a tree. Each error is one sentence that says what to do.

KardiaError                    the root; `exit_code` is the command line's answer to it
├── InputError          (2)    something the user wrote is wrong: file, line and key come first
│   ├── YamlError              a YAML file that cannot be read as YAML 1.2
│   ├── RubricError            a rubric file, a reference to one, or the lock
│   ├── ProfileError           a judge profile, or a `--set` override
│   ├── TemplateError          a Jinja template: undefined name, unsafe access, missing block
│   ├── ConversationError      a conversations file or one of its rows
│   └── OutputError            an output path that cannot be written
├── MissingExtra        (2)    an optional dependency is not installed
├── ClusterError        (3)    the Ray cluster could not be started or reached, or was lost
├── Interrupted       (130)    somebody asked the run to stop; what was under way was finished first
└── JudgeError          (3)    the judge
    ├── JudgeUnreachable       nobody answers, or the answer is a refusal to serve us at all
    ├── BudgetExhausted        the requests or the money that a run was given are used up
    ├── TransientError         one try failed and another may succeed: overload, time-out, a lost connection
    └── AnswerError            one request failed for good: becomes an unscored judgment, never a number
"""

from __future__ import annotations

__all__ = [
    "AnswerError",
    "BudgetExhausted",
    "ClusterError",
    "ConversationError",
    "InputError",
    "Interrupted",
    "JudgeError",
    "JudgeUnreachable",
    "KardiaError",
    "MissingExtra",
    "OutputError",
    "ProfileError",
    "RubricError",
    "TemplateError",
    "TransientError",
    "YamlError",
]


class KardiaError(Exception):
    """The root of every error that kardia raises on purpose."""

    exit_code: int = 2


class InputError(KardiaError):
    """Something the user wrote is wrong; the message leads with file, line and key.

    Args:
        message: what is wrong and what was expected.
        file: the file's path as the user would recognise it.
        line: the line in it, counted from 1.
        key: the key in it, dotted (`criteria.2.scale.levels`).
    """

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        super().__init__(message, file, line, key)  # args carry all of it, so that errors pickle

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.file, self.line, self.key))

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
        parts = [part for part in (place, self.key, self.message) if part]
        return ": ".join(parts)


def _rebuild(kind: type[InputError], message: str, file: str | None, line: int | None, key: str | None) -> InputError:
    return kind(message, file=file, line=line, key=key)


class YamlError(InputError):
    """A YAML file that cannot be read as YAML 1.2."""


class RubricError(InputError):
    """A rubric that is not one, cannot be found, or has moved under its lock."""


class ProfileError(InputError):
    """A judge profile that is not one, or cannot be found."""


class TemplateError(InputError):
    """A prompt template that cannot be rendered safely."""


class ConversationError(InputError):
    """A conversations file that cannot be read, or a row in it that has the wrong shape."""


class OutputError(InputError):
    """An output that cannot be written."""


class MissingExtra(KardiaError):
    """An optional dependency is not installed.

    Args:
        extra: the extra of kardia that brings it.
        purpose: what it is needed for.
    """

    def __init__(self, extra: str, purpose: str) -> None:
        self.extra = extra
        self.purpose = purpose
        super().__init__(f"{purpose} needs an optional part of kardia: pip install 'kardia[{extra}]'")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.extra, self.purpose)


class ClusterError(KardiaError):
    """The Ray cluster could not be started or reached, or was lost. What is finished is kept."""

    exit_code = 3


class Interrupted(KardiaError):
    """A run was asked to stop. What was under way was finished, and everything that is complete was handed out."""

    exit_code = 130


class JudgeError(KardiaError):
    """The judge could not do its work."""

    exit_code = 3


class JudgeUnreachable(JudgeError):
    """The judge cannot be reached, or refuses to serve: asking on would be in vain."""


class BudgetExhausted(JudgeError):
    """A run has used up the requests or the money that it was given. What was paid for is kept."""


class TransientError(JudgeError):
    """One try failed, and another may succeed.

    Args:
        message: what happened.
        retry_after: seconds that the endpoint asked to wait, where it did.
        down: whether nobody was there at all (refused, unresolved), as opposed to an answer that says "not now".
        broke: whether the connection was made and then broke: one request may be what breaks it.
        overloaded: whether the endpoint said that it has too much to do.
        timed_out: whether it said nothing at all for as long as it was given.
    """

    requests: int = 1
    """How many requests the try took."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        down: bool = False,
        broke: bool = False,
        overloaded: bool = False,
        timed_out: bool = False,
    ) -> None:
        self.retry_after = retry_after
        self.down = down
        self.broke = broke
        self.overloaded = overloaded
        self.timed_out = timed_out
        super().__init__(message)


class AnswerError(JudgeError):
    """One request failed for good.

    Args:
        message: the reason, as it stands in the scorecard.
        raw: what the judge said, where it said something.
    """

    requests: int = 1
    """How many requests it took."""

    def __init__(self, message: str, raw: str | None = None) -> None:
        self.raw = raw
        super().__init__(message)
