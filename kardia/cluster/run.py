"""A scoring run on a cluster, as its driver sees it: prepared like every run, then shard after shard by Ray Data."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kardia.cluster.coordinator import Coordinator
from kardia.cluster.folder import Folder, manifest_of
from kardia.cluster.order import Order, contents, environment_for
from kardia.cluster.session import Cluster, Share, check_installed, connected, share_of
from kardia.cluster.shard import Shard, check_inputs, cut_inputs
from kardia.cluster.worker import Result, ScoreShard
from kardia.engine.commons import limits_path
from kardia.engine.ledger import Ledger
from kardia.engine.place import Address, ledger_place
from kardia.errors import ClusterError, Interrupted, KardiaError, OutputError
from kardia.judge import default_judge
from kardia.run import Run
from kardia.scoring import Settings
from kardia.summary import Summary

__all__ = ["ClusterRun"]

_log = logging.getLogger("kardia")


@dataclass
class ClusterRun:
    """A run that passed the door, cut into shards; made by `prepare`.

    Attributes:
        run: what every engine has.
        summary: the figures of all shards that are done, in this run or before.
    """

    run: Run
    order: Order
    shards: list[Shard]
    folder: Folder
    limits: Path
    summary: Summary
    found: int

    @classmethod
    def prepare(
        cls,
        files: Sequence[str],
        rubrics: Sequence[str],
        judge: str | None,
        output: str | None,
        form: str,
        *,
        overrides: Sequence[str] = (),
        mapping: str | None = None,
        limit: int | None = None,
        skip_bad: bool = False,
        settings: Settings,
        strict: bool = False,
        shard_rows: int,
    ) -> ClusterRun:
        """Reads and checks everything that a run needs, and opens its folder; no cluster is needed yet.

        Args:
            files, rubrics, judge, overrides, mapping, limit, skip_bad, settings, strict: as for `Run.prepare`.
            output: the folder of the parts.
            form: `jsonl` or `parquet`.
            shard_rows: rows in a shard.

        Raises:
            InputError: with file, line and key.
            MissingExtra: without Ray.
        """
        if output is None or output == "-":
            raise OutputError("the engine ray writes a folder of parts: name one with -o")
        check_installed()
        check_inputs(files)
        place, _ = ledger_place(None if isinstance(settings.ledger, Ledger) else settings.ledger)
        named = judge or default_judge()
        run = Run.prepare(
            files,
            rubrics,
            named,
            overrides=overrides,
            mapping=mapping,
            limit=limit,
            skip_bad=skip_bad,
            settings=settings,
            strict=strict,
        )
        inputs, shards = cut_inputs(files, run.source, shard_rows, limit, form)
        known = contents(run.rubrics, run.profile)
        said = {
            "map": mapping,
            "limit": limit,
            "skip_bad": skip_bad,
            "text": settings.text,
            "guard": settings.guard,
            "format": form,
            "shard_rows": shard_rows,
        }
        order = Order(
            folder=os.getcwd(),
            environment=environment_for(run.profile),
            rubrics=tuple(rubrics),
            judge=named,
            overrides=tuple(overrides),
            mapping=mapping,
            inputs=tuple(inputs),
            output=output,
            form=form,
            text=settings.text,
            fresh=settings.fresh,
            guard=settings.guard,
            ledger=_ledger_text(place) if isinstance(run.settings.ledger, Ledger) else "off",
            max_requests=settings.max_requests,
            max_cost=settings.max_cost,
            contents=known,
        )
        folder = Folder(output, manifest_of(known, inputs, shards, said), files, fresh=settings.fresh)
        summary = Summary()
        for done in folder.done.values():
            summary.merge(done)
        limits = limits_path(place if isinstance(place, Path) else None)
        return cls(run, order, shards, folder, limits, summary, len(folder.done))

    def score(
        self,
        *,
        workers: int | None,
        address: str | None,
        stoppable: Callable[[], AbstractContextManager[object]],
        advance: Callable[[Summary], object],
    ) -> None:
        """Has every shard scored that is not done.

        Args:
            workers: how many actors; None: see `share_of`.
            address: see `connected`.
            stoppable: a context in which the run's halt may be requested; entered once Ray is there.
            advance: is told the figures after each shard.

        Raises:
            ClusterError: where there is no cluster, or it fails.
            JudgeUnreachable, BudgetExhausted, Interrupted: the shards that are done are kept.
        """
        left = [shard for shard in self.shards if shard.name not in self.folder.done]
        try:
            if left:
                with connected(address) as cluster:
                    share = share_of(self.run.profile, cluster, workers)
                    self._warn(cluster)
                    with stoppable():
                        self._score(left, replace(share, workers=min(share.workers, len(left))), advance)
            self.folder.finish()
        finally:
            self.folder.clean()

    def _warn(self, cluster: Cluster) -> None:
        if cluster.nodes > 1 and self.order.ledger != "off" and "://" not in self.order.ledger:
            _log.warning(
                "the ledger is a file, and the cluster has %d hosts: unless all of them see that file's folder, each "
                "keeps a ledger of its own; --ledger postgresql://… is one for all",
                cluster.nodes,
            )

    def _score(self, left: Sequence[Shard], share: Share, advance: Callable[[Summary], object]) -> None:
        import ray
        from ray.exceptions import RayError

        coordinator = self._coordinator()
        told: set[str] = set()
        first: KardiaError | None = None
        stopping = False
        by_number = {shard.number: shard for shard in left}
        try:
            with self._stops(coordinator):
                for result in self._results(left, share, coordinator):
                    self.run.settings.office.spent.add(result.spent)
                    for name, tally in result.cascades.items():
                        known = self.run.settings.office.cascades.get(name)
                        if known is None:
                            self.run.settings.office.cascades[name] = tally
                        else:
                            known.add(tally)
                    for note in result.notes:
                        if note not in told:
                            told.add(note)
                            _log.warning("%s", note)
                    if result.summary is not None:
                        self.folder.record(by_number.pop(result.number), result.summary)
                        self.summary.merge(result.summary)
                        advance(self.summary)
                        continue
                    first = first or result.problem
                    if not stopping:
                        stopping = True
                        coordinator.stop.remote()
                    if not ray.get(coordinator.busy.remote()):
                        break
        except RayError as problem:
            raise ClusterError(f"the cluster failed: {_cause(problem)}") from None
        if first is not None:
            raise first
        if by_number:
            raise Interrupted("interrupted: the same command goes on from there")

    def _coordinator(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # here, where the run is at its end if the host is
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        actor: Any = ray.remote(Coordinator)
        return actor.options(
            name=f"kardia-{os.getpid()}-{os.urandom(4).hex()}",
            num_cpus=0,
            max_concurrency=100_000,  # whoever waits for the budget must not keep others from settling
            scheduling_strategy=here,
        ).remote(self.order.max_requests, self.order.max_cost, str(self.limits))

    def _results(self, left: Sequence[Shard], share: Share, coordinator: Any) -> Iterator[Result]:
        import ray.data

        items = [{"shard": pickle.dumps(shard)} for shard in left]
        scored = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            ScoreShard,
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=share.workers, max_tasks_in_flight_per_actor=1),
            fn_constructor_args=(self.order, coordinator),
            num_cpus=share.cpus,
            num_gpus=share.gpus,
        )
        for row in scored.iter_rows():
            yield pickle.loads(row["result"])  # noqa: S301 - an actor of ours wrote it

    @contextmanager
    def _stops(self, coordinator: Any) -> Iterator[None]:
        """Hands a wish to stop on to the actors; not in the signal's handler, which may have interrupted Ray itself."""
        over = threading.Event()

        def relay() -> None:
            while not over.wait(0.1):
                if self.run.halt.requested:
                    coordinator.stop.remote()
                    return

        thread = threading.Thread(target=relay, daemon=True, name="kardia-stop")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _ledger_text(place: Path | Address | None) -> str:
    return "off" if place is None else place.url if isinstance(place, Address) else str(place)


def _cause(problem: BaseException) -> str:
    """The last line that says something of what Ray hands on: it carries whole tracebacks."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(problem).__name__
