"""`kardia serve`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kardia.cli.options import Ledger

if TYPE_CHECKING:
    from kardia.reward.reward import Reward

__all__ = ["serve"]


def serve(
    reward: Annotated[str | None, typer.Option("--reward", help="A preset's name, or a YAML file.")] = None,
    rubric: Annotated[
        str | None, typer.Option("--rubric", "-r", help="Instead: a rubric whose score is the reward.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option("--judge", "-j", help="Profile name or path. Default: $KARDIA_JUDGE, else embedded."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Override the reward (terms.rubric.rubric=safety@1, combine=sum) or the judge's profile "
            "(sampling.temperature=1). Repeatable.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen. Anything but this machine needs --token-env.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0: any that is free; stderr says which.")
    ] = 8080,
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env", metavar="NAME", help="Environment variable with the token that requests must carry."
        ),
    ] = None,
    on_unscored: Annotated[
        str | None,
        typer.Option(
            "--on-unscored",
            metavar="raise|NUMBER",
            help="For OpenRLHF, which knows no null: what a completion without a reward gets. Without it, OpenRLHF is "
            "not served.",
        ),
    ] = None,
    label_field: Annotated[
        str | None,
        typer.Option("--label-field", help="For OpenRLHF: the metadata field that a plain label is, such as emotion."),
    ] = None,
    max_body: Annotated[int, typer.Option("--max-body", min=1, help="Bytes of a request.")] = 8 * 1024 * 1024,
    max_queue: Annotated[
        int, typer.Option("--max-queue", min=1, help="Completions waiting or under way; more are answered 503.")
    ] = 10_000,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Judge as soon as there are so many completions.")] = 64,
    wait_ms: Annotated[
        float, typer.Option("--wait-ms", min=0, max=10_000, help="Else after so many milliseconds.")
    ] = 5.0,
    ledger: Ledger = None,
) -> None:
    """Serve a reward over HTTP, for trainers on other hosts.

    POST /score takes completions and answers with rewards; POST / is what OpenRLHF sends. GET /docs says all of it, GET
    /health, /ready and /metrics what operators want to know. At the first SIGTERM or Ctrl-C nothing new is taken, what
    is under way is finished, and the exit code is 0; the second stops at once (130). 2: the configuration is wrong.

    Example:  kardia serve --rubric emotional-support --judge embedded --port 8080
    """
    import os

    from kardia.cli.terminal import note
    from kardia.errors import MissingExtra

    try:
        from kardia.service.app import Service, Settings
        from kardia.service.auth import is_loopback, token_from
        from kardia.service.server import bind, serve, url_of
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] not in ("fastapi", "starlette", "uvicorn", "prometheus_client"):
            raise
        raise MissingExtra("serve", "`kardia serve`") from None

    settings = Settings(
        token=token_from(token_env, host, os.environ),
        on_unscored=_on_unscored(on_unscored),
        label_field=label_field,
        max_body=max_body,
        max_queue=max_queue,
        batch=batch,
        wait_s=wait_ms / 1000,
    )
    service = Service(_reward(reward, rubric, judge, set_ or [], ledger), settings)
    listening = bind(host, port)
    try:
        service.prepare()
        _quiet()

        def announce() -> None:
            note(f"serving {service.reward.__name__} at {url_of(listening)} (Ctrl-C stops)")
            if not is_loopback(host):
                note("nothing is encrypted on its way: keep this in a network of your own, or behind a proxy with TLS")

        def stopping() -> None:
            note("stopping: what is under way is finished first (Ctrl-C again stops at once)")

        serve(service, listening, announce, stopping)
    finally:
        listening.close()


def _on_unscored(text: str | None) -> float | Literal["raise"] | None:
    from kardia.errors import InputError

    if text is None or text == "raise":
        return None if text is None else "raise"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"is {text!r}; expected raise or a number", file="--on-unscored")
    return number


def _reward(
    reward: str | None, rubric: str | None, judge: str | None, changes: list[str], ledger: str | None
) -> Reward:
    from kardia.errors import InputError
    from kardia.judge import default_judge, load_profile
    from kardia.reward.reward import RubricReward, load_reward

    own = [item for item in changes if item.startswith(("terms.", "combine="))]
    profile = load_profile(judge or default_judge(), [item for item in changes if item not in own])
    if (reward is None) == (rubric is None):
        raise InputError(
            "say which reward: --reward with a preset or a file, or --rubric with a rubric", file="kardia serve"
        )
    if rubric is None:
        return load_reward(reward or "", profile, overrides=own, ledger=ledger, on_unreachable="none")
    if own:
        raise InputError(f"{own[0]!r} is about a reward's terms, and --rubric has none: use --reward", file="--set")
    return RubricReward(rubric, profile, ledger=ledger, on_unreachable="none")


def _quiet() -> None:
    """The library's warnings come once each: some would come with every batch. That rewards are missing for want of a
    judge, the service says itself: it leaves out the judge's words, which may quote what was judged."""
    import logging

    said: set[str] = set()

    def first(record: logging.LogRecord) -> bool:
        if record.module == "reward":
            return False
        message = record.getMessage()
        if record.levelno >= logging.ERROR or message not in said:
            said.add(message)
            return True
        return False

    for handler in logging.getLogger("kardia").handlers:
        handler.addFilter(first)
