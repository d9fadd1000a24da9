"""What the rubric commands print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kardia.cli.terminal import note, number, print_json, stdout, table
from kardia.errors import ConversationError, InputError, RubricError
from kardia.rubric.models import ChoiceScale, Criterion
from kardia.rubric.rubric import Group, Rubric

__all__ = ["diff_view", "lint_view", "list_view", "render_view", "show_view", "try_view"]


def list_view(all_versions: bool, as_json: bool) -> None:
    """`kardia rubric list`."""
    from kardia.rubric.loading import load_rubric
    from kardia.rubric.versions import candidates, is_draft

    rows: list[dict[str, Any]] = []
    found: dict[str, list[Any]] = {}
    for candidate in candidates():
        found.setdefault(candidate.name, []).append(candidate)
    for name in sorted(found):
        versions = sorted(found[name], key=lambda candidate: candidate.version)
        releases = [candidate for candidate in versions if not is_draft(candidate.version)]
        for candidate in versions if all_versions else (releases or versions)[-1:]:
            row: dict[str, Any] = {"name": name, "version": str(candidate.version), "file": str(candidate.path)}
            try:
                rubric = load_rubric(candidate.path)
                row |= {"title": rubric.title, "criteria": len(rubric.criteria), "hash": rubric.hash}
            except InputError as problem:
                row |= {"title": f"cannot be loaded: {problem}", "criteria": None, "hash": None}
            rows.append(row)
    if as_json:
        print_json(rows)
        return
    made = table(None, ("name", "version", "criteria", "title"), ("criteria",))
    for row in rows:
        made.add_row(row["name"], row["version"], str(row["criteria"] or "–"), row["title"])
    stdout().print(made)


def show_view(rubric: Rubric, as_json: bool) -> None:
    """`kardia rubric show`."""
    if as_json:
        print_json({**rubric.canonical(), "hash": rubric.hash})
        return
    console = stdout()
    console.print(f"{rubric.title}  ({rubric.ref})", style="bold")
    if rubric.file.description:
        for paragraph in rubric.file.description.strip().split("\n\n"):
            console.print(" ".join(paragraph.split()) + "\n")
    console.print()
    for sentence in _prose(rubric):
        console.print(sentence)
    console.print()
    made = table(
        None, ("criterion", "question", "levels", "weight", "reads", "requires", "examples"), ("weight", "examples")
    )
    for criterion in rubric.criteria:
        made.add_row(
            criterion.id,
            criterion.question.strip(),
            _levels(criterion),
            f"{criterion.weight:g}",
            criterion.reads or "reply",
            _requires(criterion),
            str(len(rubric.examples_of(criterion.id))),
        )
    console.print(made)
    for criterion in rubric.criteria:
        console.print(f"{criterion.id}: ", end="", style="bold")
        console.print(criterion.question.strip())
        for level in criterion.levels:
            about = criterion.scale.describe(level)
            console.print(f"  {level}: {about.strip() if about else '(not described)'}")
        for sentence in _conditions(criterion):
            console.print("  " + sentence)
        if criterion.guidance:
            console.print("  " + criterion.guidance.strip().replace("\n", "\n  "))
    console.print(f"\ncontent hash {rubric.hash}")


def _prose(rubric: Rubric) -> list[str]:
    what = "the whole conversation" if rubric.target == "conversation" else "the last reply of the assistant"
    lines = [f"It judges {what} by {len(rubric.criteria)} criteria and has {len(rubric.examples)} examples."]
    lines += _rules(rubric.root, "It")
    vetoes = [criterion for criterion in rubric.criteria if criterion.required is not None]
    for criterion in vetoes:
        floor = criterion.required.else_score if criterion.required else 0
        lines.append(f"{criterion.id} is required ({_requires(criterion)}): otherwise the score is {floor:g}.")
    if rubric.metadata:
        lines.append(f"The judge is shown, where a row has it: {', '.join(rubric.metadata)}.")
    return lines


def _rules(group: Group, who: str) -> list[str]:
    rule = group.aggregate
    method = {
        "weighted_mean": "averages its items by their weights",
        "product": "multiplies its items",
        "minimum": "takes its lowest item",
        "learned": "puts its items together as was learned from people" + _learned_from(group),
    }[rule.method]
    gaps = (
        "a card with a gap has no score" if rule.unscored == "whole" else "gaps are left out, and the card is partial"
    )
    extra = [name for name in ("saturation", "interactions", "shaping") if getattr(rule, name)]
    more = f", with {' and '.join(extra)}" if extra else ""
    lines = [f"{who} {method}{more}; {gaps}."]
    for as_, weight, inner, counts in group.parts:
        lines.append(f"{as_} is an included rubric with weight {weight:g}" + ("." if counts else ", counted above."))
        lines += _rules(inner, inner.path)
    return lines


def _learned_from(group: Group) -> str:
    if group.learned is None:
        return ""
    artifact = group.learned.artifact
    counts = ", ".join(f"{count:,} {what}" for what, count in artifact.made.counts.items())
    return f" ({artifact.kind}; {counts})"


def _conditions(criterion: Criterion) -> list[str]:
    """When a criterion applies, in words."""
    lines = [f"applies only where {key} is {_any(values)}" for key, values in (criterion.only_if or {}).items()]
    ways = [" and ".join(f"{key} is {_any(levels)}" for key, levels in way.items()) for way in criterion.conditions]
    if ways:
        lines.append("applies only where " + "; or where ".join(ways))
    if criterion.not_relevant:
        lines.append(f"the judge may answer `not relevant`: {criterion.not_relevant.strip()}")
    return lines


def _any(values: Sequence[Any]) -> str:
    return " or ".join(str(value) for value in values)


def _levels(criterion: Criterion) -> str:
    if isinstance(criterion.scale, ChoiceScale):
        return ", ".join(f"{level} ({criterion.value(level):g})" for level in criterion.levels)
    text = (
        f"{criterion.levels[0]}–{criterion.levels[-1]}"
        if len(criterion.levels) > 2
        else "/".join(map(str, criterion.levels))
    )
    return f"{text}, good is {criterion.good_end}"


def _requires(criterion: Criterion) -> str:
    need = criterion.required
    if need is None:
        return ""
    if need.at_least is not None:
        return f"at least {need.at_least}"
    if need.at_most is not None:
        return f"at most {need.at_most}"
    best = max(criterion.levels, key=criterion.value)
    return str(best)


def lint_view(paths: Sequence[Path], data: str | None, semantic: bool, as_json: bool) -> int:
    """`kardia rubric lint`; returns the exit code."""
    from kardia.rubric.lint import lint_file
    from kardia.rubric.lock import LOCK_NAME, lock_gaps

    keys: set[str] | None = None
    if data is not None:
        from kardia.reading import Source

        with Source(data, skip_bad=True) as rows:
            keys = set(rows.check().metadata_keys)
    listed = _files(paths)
    embed = _embedder() if semantic else None
    reports = [lint_file(path, data_keys=keys, embed=embed) for path in listed]
    findings = [finding for report in reports for finding in report.findings]
    if as_json:
        print_json([report.to_json() for report in reports])
    gone = [sentence for path in paths if (path / LOCK_NAME).is_file() for sentence in lock_gaps(path)]
    for sentence in gone:
        note(sentence)
    for finding in findings if not as_json else ():
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        key = f" {finding.key}:" if finding.key else ""
        print(f"{place}: {finding.severity} {finding.rule}:{key} {finding.message}\n    → {finding.mend}")
    files = "1 file" if len(reports) == 1 else f"{len(reports)} files"
    note(f"{files}, {'1 finding' if len(findings) == 1 else f'{len(findings)} findings'}")
    if any(report.invalid for report in reports):
        return 2
    return 1 if findings or gone else 0


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.suffix in (".yaml", ".yml"))
            if not inside:
                raise RubricError("holds no .yaml file", file=str(path))
            found += inside
        elif not path.exists():
            found += _by_name(path)
        else:
            found.append(path)
    return found


def _by_name(reference: Path) -> list[Path]:
    """What a name means, draft or release; a path that is not there is said to be missing."""
    from kardia.rubric.loading import looks_like_path
    from kardia.rubric.versions import parse_reference, pick

    if looks_like_path(str(reference)):
        raise RubricError("no such file", file=str(reference))
    return [candidate.path for candidate in pick(parse_reference(str(reference)))]


def _embedder() -> Any:
    """The embedded judge's encoder, where it is installed; None otherwise: then wording alone is compared."""
    try:
        from kardia.judge.encoder import Encoder, find_encoder
        from kardia.judge.profile import load_profile

        encoder = Encoder(find_encoder(load_profile("embedded")))
    except Exception:  # an optional help: whatever keeps it from loading, lint works without
        return None
    return lambda texts: encoder.encode(texts).tolist()


def render_view(
    reference: str, file: str, judge: str | None, wanted: str | None, overrides: Sequence[str], as_json: bool
) -> None:
    """`kardia rubric render`."""
    from kardia.judge.profile import WORDLESS, JudgeProfile, load_profile
    from kardia.plan import Planner
    from kardia.reading import Source
    from kardia.rubric.loading import load_rubric

    rubric = load_rubric(reference)
    profile = load_profile("fake" if judge is None else judge, overrides)
    if profile.backend in WORDLESS:
        note(f"the judge {profile.name} reads no prompt; these are the prompts of the template reasoned")
        profile = JudgeProfile(name="render", backend="fake")
    planner = Planner(rubric, profile)
    with Source(file) as source:
        source.check()
        rows = source.conversations()
        chosen = next((item for item in rows if wanted in (None, item.id)), None)
    if chosen is None:
        raise ConversationError(f"there is no conversation {wanted!r}", file=file)
    plan = planner.plan(chosen)
    if as_json:
        print_json(
            [
                {
                    "criteria": [criterion.id for criterion in request.criteria],
                    "sample": request.sample,
                    "messages": [{"role": m.role, "content": m.content} for m in request.messages],
                    "schema": request.schema,
                }
                for request in plan.requests
            ]
        )
        return
    for request in plan.requests:
        ids = ", ".join(criterion.id for criterion in request.criteria)
        print(f"=== {chosen.id} · {ids}")
        for message in request.messages:
            print(f"--- {message.role}\n{message.content}")
        print()
    for key, judgment in plan.settled.items():
        print(f"=== {chosen.id} · {key}: not asked: {judgment.error}")


def try_view(
    reference: str, judge: str | None, overrides: Sequence[str], min_exact: float | None, as_json: bool
) -> bool:
    """`kardia rubric try`; returns whether all is well."""
    from kardia.judge import load_judge
    from kardia.rubric.loading import load_rubric
    from kardia.trial import try_rubric

    rubric = load_rubric(reference)
    if not rubric.examples:
        raise RubricError(f"{rubric.ref} has no examples to try it on", file=rubric.source)
    built = load_judge(judge, overrides)
    trial = try_rubric(rubric, built)
    if as_json:
        print_json({**trial.to_json(), "judge": built.profile.name})
    else:
        console = stdout()
        ids = [criterion.id for criterion in rubric.criteria if trial.of(criterion.id)]
        rows = table(None, ("example", "criterion", "expected", "got", "off by"), ("off by",))
        for row in trial.rows:
            if row.distance == 0:
                continue
            got = str(row.judgment.level) if row.judgment.level is not None else row.judgment.status
            reply = " ".join(rubric.examples[row.example - 1].reply.split())
            shown = reply if len(reply) <= 48 else reply[:47] + "…"
            rows.add_row(f"{row.example}: {shown}", row.criterion, str(row.expected), got, number(row.distance, 2))
        if rows.row_count:
            console.print("Where the judge and the examples differ (off by: in the value, 0 to 1)")
            console.print(rows)
        columns = ("examples", "exact", "mean off by", "unscored", "abstained")
        made = table(f"{rubric.ref} on its own examples · judge {built.profile.name}", ("criterion", *columns), columns)
        for key in ids:
            figures = trial.figures(key)
            made.add_row(
                key,
                str(figures["count"]),
                number(figures["exact"], 2),
                number(figures["distance"], 2),
                str(figures["unscored"]),
                str(figures["abstained"]),
            )
        console.print(made)
        for row in trial.rows:
            if row.judgment.error:
                note(f"example {row.example}, {row.criterion}: {' '.join(row.judgment.error.split())[:300]}")
                break
    if min_exact is not None and (trial.exact is None or trial.exact < min_exact):
        note(f"{number(trial.exact)} of the levels are exact; at least {min_exact:g} were asked for")
        return False
    return not any(row.judgment.status == "unscored" for row in trial.rows)


def diff_view(a: str, b: str, as_json: bool) -> None:
    """`kardia rubric diff`."""
    from kardia.rubric.diff import diff
    from kardia.rubric.loading import load_rubric

    first, second = load_rubric(a), load_rubric(b)
    found = diff(first, second)
    enough = found.satisfied_by(first.version, second.version)
    if as_json:
        print_json({**found.to_json(), "version_suffices": enough})
        return
    for sentence in found.sentences():
        print(sentence)
    if found.required_bump != "none":
        print(
            f"This needs a {found.required_bump} step; from {first.version} to {second.version} is "
            + ("enough." if enough else "too small: kardia rubric bump makes the right draft.")
        )
