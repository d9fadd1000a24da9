"""`kardia score --engine ray`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kardia.run import Run
    from kardia.summary import Summary

__all__ = ["score_on_ray"]


def score_on_ray(
    files: list[str],
    rubrics: list[str],
    judge: str | None,
    output: str | None,
    form: str,
    workers: int | None,
    shard_rows: int,
    address: str | None,
    progress: Callable[..., Any],
    common: dict[str, Any],
) -> tuple[Run, Summary]:
    """Scores on a cluster, and says what is kept where that ends early.

    Args:
        progress: makes a context that yields what is told the figures after each shard.
        common: what both engines are told.
    """
    from kardia.cli.stopping import stoppable
    from kardia.cli.terminal import note
    from kardia.cluster.run import ClusterRun

    made = ClusterRun.prepare(files, rubrics, judge, output, form, shard_rows=shard_rows, **common)
    run, count = made.run, len(made.shards)
    done = False
    try:
        run.write_rejected(output)
        if made.found:
            note(f"{made.found:,} of {count:,} shards were done before")
        with progress(run.total, run.settings.office.spent) as advance:
            advance(made.summary)
            made.score(workers=workers, address=address, stoppable=lambda: stoppable(run.halt), advance=advance)
        done = True
    finally:
        run.source.close()
        if not done:
            kept = sum(1 for shard in made.shards if (made.folder.path / shard.name).exists())
            if kept:
                note(f"{kept:,} of {count:,} shards are kept in {output}; the same command goes on from there")
    return run, made.summary
