"""Templates: a rubric's question about a conversation, in words.

A template is a Jinja file with three blocks. `system` and `shared` hold what all requests about one target have in
common, `question` what is asked of it; the user message is `shared` followed by `question`, so that every cache of
prefixes hits. Templates run sandboxed and strict: an undefined name is an error, Python's internals are out of
reach, and values are put in once, fenced, and never rendered again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2 import Template as JinjaTemplate
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kardia.content import folders
from kardia.conversation import Conversation, Target
from kardia.errors import TemplateError
from kardia.fence import fence
from kardia.rubric.models import Criterion, Example
from kardia.rubric.rubric import Rubric
from kardia.spans import context_of, split_reply
from kardia.yamlfile import read_text

__all__ = ["BLOCKS", "Template", "load_template", "question_variables", "rubric_variables", "shared_variables"]

BLOCKS = ("system", "shared", "question")
MAX_REPEATED = 10_000
_HEADER = re.compile(r"\A\{#-?\s*kardia template,?\s+version\s+(\d+(?:\.\d+){0,2}),\s+for\s+([a-z_]+)")
_SHARED = {"rubric", "background", "context", "target", "candidates", "mode"}
_NAMES = {
    "system": {"rubric", "mode"},
    "shared": _SHARED,
    "question": _SHARED | {"criterion", "criteria", "labels"},
}


_DICT_ATTRIBUTES = frozenset(dir(dict))


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without a loader: a template reads nothing but what it is given."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,  # prompts are not HTML; what is judged is fenced instead
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=(),
        )
        # equal requests must be equal text: nothing random
        del self.globals["lipsum"]
        del self.filters["random"]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What the sandbox comes to, without an exception on the way for every key of a plain dict."""
        if type(obj) is dict and attribute in obj and attribute not in _DICT_ATTRIBUTES:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic that could fill the memory or take for ever is refused."""
        sizes = [len(side) if isinstance(side, (str, list, tuple)) else 1 for side in (left, right)]
        times = [side for side in (left, right) if isinstance(side, int)]
        if operator == "**" or max(sizes) * max(times, default=1) > MAX_REPEATED:
            raise SecurityError(f"{operator} makes too much here; at most {MAX_REPEATED:,} characters, and no powers")
        return super().call_binop(context, operator, left, right)


@dataclass(frozen=True)
class Template:
    """A checked template.

    Attributes:
        name: as a profile refers to it.
        version: from its first line.
        mode: the mode it is written for.
        hash: `sha256:` over its text.
        uses: block → the names of the variables that its text can depend on.
    """

    name: str
    version: str
    mode: str
    hash: str
    file: str
    blocks: Mapping[str, Callable[[Mapping[str, Any]], str]]
    uses: Mapping[str, frozenset[str]]

    def render(self, block: str, variables: Mapping[str, Any]) -> str:
        """One block's text, without white space at its ends.

        Raises:
            TemplateError: with file and line, where it uses an undefined name or reaches for Python's internals.
        """
        return self.blocks[block](variables).strip()


def load_template(name: str, mode: str) -> Template:
    """Finds `templates/<name>.j2` in `./judges`, `$KARDIA_PATH` and what is shipped, or takes a path, and checks it.

    Raises:
        TemplateError: where there is none, or it is not for this mode, or names what a template is not given.
    """
    path = _find(name)
    template = _load(str(path), name, path.stat().st_mtime_ns)
    if template.mode != mode:
        raise TemplateError(f"is for the mode {template.mode}, not {mode}", file=str(path), line=1)
    return template


def _find(name: str) -> Path:
    if name.endswith(".j2") or "/" in name:
        path = Path(name)
        if path.is_file():
            return path
        raise TemplateError("no such template file", file=name)
    there: set[str] = set()
    for folder in folders("judges"):
        path = folder / "templates" / f"{name}.j2"
        if path.is_file():
            return path
        there |= {found.stem for found in (folder / "templates").glob("*.j2")}
    raise TemplateError(f"there is no template {name!r}; there are: {', '.join(sorted(there)) or 'none'}")


@lru_cache(maxsize=64)
def _load(path: str, name: str, _changed: int) -> Template:
    text = read_text(Path(path), TemplateError)
    header = _HEADER.match(text)
    if header is None:
        wanted = "{# kardia template, version 1, for per_criterion #}"
        raise TemplateError(f"must begin with a line such as {wanted}", file=path, line=1)
    environment = _Environment()
    try:
        tree = environment.parse(text)
        whole = environment.from_string(text)
    except TemplateSyntaxError as problem:
        raise TemplateError(f"is not a Jinja template: {problem.message}", file=path, line=problem.lineno) from None
    found = {block.name: block for block in tree.find_all(nodes.Block)}
    for block in BLOCKS:
        if block not in found:
            raise TemplateError(f"has no block {block!r}; it needs {', '.join(BLOCKS)}", file=path, line=1)
    for extra in sorted(set(found) - set(BLOCKS)):
        line = found[extra].lineno
        raise TemplateError(f"has a block {extra!r} that nobody renders", file=path, line=line)
    uses = {block: _checked_names(found[block], block, path) for block in BLOCKS}
    blocks = {block: _block_function(environment, whole, block, path) for block in BLOCKS}
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return Template(name, header.group(1), header.group(2), digest, path, blocks, uses)


def _checked_names(block: nodes.Block, name: str, path: str) -> frozenset[str]:
    """The variables that the block's text can depend on."""
    tree = nodes.Template(block.body, lineno=1)
    tree.set_environment(block.environment or _Environment())
    used = meta.find_undeclared_variables(tree)
    for unknown in sorted(used - _NAMES[name]):
        line = next((node.lineno for node in block.find_all(nodes.Name) if node.name == unknown), block.lineno)
        known = ", ".join(sorted(_NAMES[name]))
        raise TemplateError(f"uses {unknown!r}, which block {name} is not given; it has: {known}", file=path, line=line)
    # `self.shared()` and a block within a block render more than what stands here
    if tree.find(nodes.Block) or any(node.name == "self" for node in tree.find_all(nodes.Name)):
        return frozenset(_NAMES[name])
    return frozenset(used)


def _block_function(
    environment: _Environment, whole: JinjaTemplate, block: str, path: str
) -> Callable[[Mapping[str, Any]], str]:
    function = whole.blocks[block]
    helpers = dict(whole.globals)  # what `whole.new_context` would copy, a chain of maps, anew for every text

    def render(variables: Mapping[str, Any]) -> str:
        try:
            context = environment.context_class(
                environment, {**helpers, **variables}, whole.name, whole.blocks, helpers
            )
            return str(environment.concat(function(context)))
        except Exception as problem:  # a template can divide by zero, loop too long, call a string
            says_it_all = isinstance(problem, (UndefinedError, SecurityError))
            message = str(problem) if says_it_all else f"fails: {problem}"
            line = _line(problem.__traceback__, whole)
            raise TemplateError(message, file=path, line=line, key=f"block {block}") from None

    return render


def _line(trace: TracebackType | None, whole: JinjaTemplate) -> int | None:
    """The template's line in which the innermost of its own frames stands."""
    line: int | None = None
    while trace is not None:
        if trace.tb_frame.f_globals is whole.root_render_func.__globals__:
            line = whole.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def rubric_variables(rubric: Rubric, mode: str) -> dict[str, Any]:
    """What the block `system` is given: `rubric` (title, description) and `mode`."""
    file = rubric.file
    return {"rubric": {"title": file.title, "description": (file.description or "").strip()}, "mode": mode}


def shared_variables(
    rubric: Rubric, mode: str, conversation: Conversation, target: Target, candidates: Sequence[str] = ()
) -> dict[str, Any]:
    """What the blocks `system` and `shared` are given; every text of the conversation is fenced.

    Keys: `rubric` (title, description), `mode`, `background` (a list of name, about, text), `context` (a list of
    role, text), `target` (kind, reads, text), `candidates` (texts, for pairwise and groupwise).
    """
    background = []
    for name, about in rubric.metadata.items():
        value = conversation.metadata.get(name)
        if value is not None and value != "":
            background.append({"name": name, "about": about, "text": fence(name, _words(value))})
    # a reply rubric within one for conversations still judges the reply alone, after its context
    messages = () if target.reads == "conversation" and not candidates else context_of(conversation)
    return {
        **rubric_variables(rubric, mode),
        "background": background,
        "context": [{"role": message.role, "text": fence(message.role, message.content)} for message in messages],
        "target": {"kind": target.kind, "reads": target.reads, "text": _target_text(conversation, target)},
        "candidates": [fence("reply", text) for text in candidates],
    }


def _target_text(conversation: Conversation, target: Target) -> str:
    if target.reads == "conversation":
        # message by message: within one fence a message could pretend to be the next one
        return "\n".join(
            fence(message.role, split_reply(message.content).reply if message.role == "assistant" else message.content)
            for message in conversation.messages
        )
    return fence(target.reads, target.text)


def question_variables(
    criteria: Sequence[Criterion], rubric: Rubric, labels: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the block `question` is given beside the shared: `criteria`, `criterion` (the first), `labels`.

    Each criterion has id, question, guidance, not_relevant, scale (its type), levels (a list of level, label,
    description, from lowest to highest) and examples (one for each level that the rubric shows: context, reply,
    level, why).
    """
    label_of = {level: label for label, level in (labels or {}).items()}
    described = [_described(criterion, rubric, label_of) for criterion in criteria]
    first = described[0] if described else None
    return {"criteria": described, "criterion": first, "labels": dict(labels or {})}


def _described(criterion: Criterion, rubric: Rubric, label_of: Mapping[Any, str]) -> dict[str, Any]:
    return {
        "id": criterion.id,
        "question": criterion.question.strip(),
        "guidance": (criterion.guidance or "").strip(),
        "not_relevant": (criterion.not_relevant or "").strip(),
        "scale": criterion.scale.type,
        "levels": [
            {
                "level": level,
                "label": label_of.get(level, str(level)),
                "description": (criterion.scale.describe(level) or "").strip(),
            }
            for level in criterion.levels
        ],
        "examples": _one_a_level(criterion, rubric.examples_of(criterion.id)),
    }


def _one_a_level(criterion: Criterion, examples: Sequence[Example]) -> list[dict[str, Any]]:
    chosen: dict[Any, Example] = {}
    for example in examples:
        chosen.setdefault(example.levels[criterion.id], example)
    return [
        {
            "context": fence("context", _context_text(chosen[level])),
            "reply": fence("reply", chosen[level].reply),
            "level": level,
            "why": (chosen[level].why or "").strip(),
        }
        for level in criterion.levels
        if level in chosen
    ]


def _context_text(example: Example) -> str:
    if isinstance(example.context, str):
        return example.context.strip()
    return "\n".join(f"{message.role}: {message.content.strip()}" for message in example.context)


def _words(value: Any) -> str:
    """Metadata as text: strings as they are, anything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
