"""What a Ray actor does: it builds the judge once, reads a shard's rows from their file, scores them as the local
engine does, and writes their part."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kardia.cluster.order import Order
from kardia.cluster.shard import Shard
from kardia.cluster.shared import SharedBudget, SharedLimits
from kardia.conversation import Conversation
from kardia.engine.budget import Spent
from kardia.engine.cycles import look_rarely
from kardia.engine.ensemble import CascadeTally
from kardia.engine.gate import share_limits
from kardia.engine.halt import Halt
from kardia.errors import ConversationError, Interrupted, KardiaError
from kardia.files import partial_path
from kardia.judge import Judge, build_judge
from kardia.output import open_output
from kardia.reading import parse_map
from kardia.reading.checked import checked_conversation
from kardia.reading.parts import read_part
from kardia.rubric.rubric import Rubric
from kardia.scoring import Settings, cards_of
from kardia.summary import Summary

__all__ = ["Result", "ScoreShard"]

BEAT_S = 0.5
LOST_S = 60.0


@dataclass
class Result:
    """What became of a shard.

    Attributes:
        number: which.
        summary: the figures of its cards; None where it is not done.
        spent, cascades: what it took, done or not.
        problem: why it is not done; None where the run was stopped before.
        notes: warnings, for people.
    """

    number: int
    summary: Summary | None = None
    spent: Spent = field(default_factory=Spent)
    cascades: dict[str, CascadeTally] = field(default_factory=dict)
    problem: KardiaError | None = None
    notes: list[str] = field(default_factory=list)


class ScoreShard:
    """A callable for `map_batches`: a table with one shard in, a table with one result out, both pickled.

    Args:
        order: the run.
        coordinator: the handle of what all actors share.
    """

    def __init__(self, order: Order, coordinator: Any) -> None:
        self._order = order
        self._coordinator = coordinator
        self._worker = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._loaded: tuple[list[Rubric], Judge] | None = None
        self._halt = Halt()
        self._notes = _Notes()
        logging.getLogger("kardia").addHandler(self._notes)
        share_limits(lambda path, endpoint: SharedLimits(coordinator, self._worker, path, endpoint))
        threading.Thread(target=self._beat, daemon=True, name="kardia-beat").start()

    def __call__(self, table: Any) -> Any:
        import pyarrow as pa
        import ray

        shard = pickle.loads(table["shard"][0].as_py())  # noqa: S301 - the driver wrote it
        result = Result(shard.number)
        actor = ray.get_runtime_context().get_actor_id() or self._worker
        if not ray.get(self._coordinator.begin.remote(self._worker, actor)):
            try:
                self._score(shard, result)
            except Interrupted:
                pass
            except KardiaError as problem:
                result.problem = problem
            finally:
                ray.get(self._coordinator.end.remote(self._worker))
        result.notes = self._notes.taken()
        return pa.table({"result": pa.array([pickle.dumps(result)], pa.binary())})

    def _score(self, shard: Shard, result: Result) -> None:
        order = self._order
        rubrics, judge = self._loaded = self._loaded or self._load()
        budget = None
        if order.capped:
            budget = SharedBudget(self._coordinator, self._worker, order.max_requests, order.max_cost)
        settings = Settings(order.text, order.ledger, order.fresh, guard=order.guard, budget=budget, halt=self._halt)
        result.spent, result.cascades = settings.office.spent, settings.office.cascades
        summary = Summary()
        final = Path(order.output) / shard.name
        # under a name of its own: what Ray takes for dead may still be writing
        target = final.with_name(f"{final.name}.{self._worker}")
        sink = open_output(str(target), order.form)
        try:
            for card in cards_of(self._conversations(shard), rubrics, judge, settings):
                sink.write(card)
                summary.add(card)
            sink.finish()
            os.replace(target, final)
        except BaseException:
            sink.abandon()
            partial_path(target).unlink(missing_ok=True)
            raise
        result.summary = summary

    def _load(self) -> tuple[list[Rubric], Judge]:
        rubrics, profile = self._order.load()
        judge = build_judge(profile)
        look_rarely()
        return rubrics, judge

    def _conversations(self, shard: Shard) -> Iterator[Conversation]:
        source = self._order.inputs[shard.input]
        mapping = parse_map(self._order.mapping) if self._order.mapping else {}
        count = 0
        left_out = set(shard.left_out)
        for raw in read_part(source.path, shard.part, source.size):
            if count not in left_out:
                yield checked_conversation(raw, source.stem, mapping, source.path)
            count += 1
        if count != shard.part.rows:
            raise ConversationError("has changed since it was checked", file=source.path)

    def _beat(self) -> None:
        """Says that this worker lives, and hears whether the run is to stop."""
        import ray
        from ray.exceptions import RayError

        heard = time.monotonic()
        while not self._halt.requested:
            try:
                if ray.get(self._coordinator.beat.remote(self._worker), timeout=LOST_S):
                    self._halt.request()
                heard = time.monotonic()
            except RayError:
                if time.monotonic() - heard > LOST_S:
                    self._halt.request()
            time.sleep(BEAT_S)


class _Notes(logging.Handler):
    """Keeps warnings until they are taken: nobody reads an actor's standard error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())

    def taken(self) -> list[str]:
        """What has been said since."""
        kept, self._kept = self._kept, []
        return kept
