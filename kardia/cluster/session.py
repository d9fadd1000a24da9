"""A connection to a Ray cluster: an existing one, or one that is started here for the run and shut down after it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from kardia.errors import ClusterError, InputError, MissingExtra
from kardia.judge import JudgeProfile
from kardia.judge.ensemble import asked_profiles
from kardia.judge.profile import ENDPOINTS

__all__ = ["Cluster", "Share", "check_installed", "connected", "share_of"]

PURPOSE = "the engine ray"

SHORT = "/tmp"  # noqa: S108 - made by mkdtemp, for its owner only
"""Where Ray's sockets lie: a socket's path holds 107 characters, and a user's own folder may have a long one."""
FEW_CPUS = 4
"""For a judge that computes on the CPU."""
FEW_ACTORS = 4
"""For endpoints: each actor has many requests under way, and writes their cards."""


@dataclass(frozen=True)
class Cluster:
    """What there is.

    Attributes:
        cpus, gpus: of all nodes together, in Ray's count.
        nodes: how many.
    """

    cpus: float
    gpus: float
    nodes: int


@dataclass(frozen=True)
class Share:
    """How many actors there are, and what Ray keeps for each."""

    workers: int
    cpus: float
    gpus: float


def share_of(profile: JudgeProfile, cluster: Cluster, workers: int | None = None) -> Share:
    """How a cluster is divided for a judge.

    Args:
        workers: how many actors somebody asked for; None: one a GPU for a judge that uses one, one for every few CPUs
            for one that computes without, one a CPU and at most a few for endpoints.

    Returns:
        a share that the cluster can hold as a whole.
    """
    asked = asked_profiles(profile)
    if cluster.gpus >= 1 and any(_on_gpu(one) for one in asked):
        count = workers or int(cluster.gpus)
        return Share(count, 0.0, min(1.0, cluster.gpus / count))
    cpus = max(cluster.cpus, 1.0)
    if all(one.backend in ENDPOINTS for one in asked):
        count = workers or max(1, min(FEW_ACTORS, int(cpus)))
    elif all(one.backend in (*ENDPOINTS, "fake", "words") for one in asked):
        count = workers or int(cpus)
    else:
        count = workers or max(1, int(cpus // FEW_CPUS))
        return Share(count, _whole(min(FEW_CPUS, cpus / count)), 0.0)
    return Share(count, _whole(min(1.0, cpus / count)), 0.0)


def _whole(cpus: float) -> float:
    """As Ray counts: above 1 in whole numbers only."""
    return float(int(cpus)) if cpus >= 1 else cpus


def _on_gpu(profile: JudgeProfile) -> bool:
    if profile.backend == "transformers":
        return profile.transformers is None or profile.transformers.device not in ("cpu", "mps", "xpu")
    return profile.backend == "embedded" and profile.embedded is not None and profile.embedded.device.startswith("cuda")


def check_installed() -> None:
    """Whether there is Ray; without importing it, which takes seconds.

    Raises:
        MissingExtra: where there is none.
    """
    try:
        found = find_spec("ray")
    except ValueError:  # a module that is None in `sys.modules`
        found = None
    if found is None:
        raise MissingExtra("ray", PURPOSE)


@contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """A connection, for as long as the context lasts. Ray says nothing on standard error meanwhile, and reports nothing
    to anybody.

    Args:
        address: of an existing cluster (`host:port`, `auto`); None: `$RAY_ADDRESS`, else a Ray is started here, and all
            that it wrote is removed when it ends.

    Raises:
        MissingExtra: without Ray, or what its data sets need.
        InputError: for an address that cannot be used.
        ClusterError: where there is no cluster, or none can be started.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is not None and address.startswith("ray://"):
        raise InputError(
            f"{address} is Ray's client, which sees neither your files nor the cluster's: run kardia on a host of the "
            "cluster, and name host:port or auto",
            key="--ray-address",
        )
    if address is None and "RAY_AUTH_MODE" not in os.environ:
        # of this run alone; Ray would make one that stays in the user's home
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    with _quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import ray
            import ray.data
        except ImportError:
            raise MissingExtra("ray", PURPOSE) from None
        core: Any = ray
        _no_console(core)
        folder = None
        try:
            try:
                if address is None:
                    folder = tempfile.mkdtemp(prefix="kr-", dir=SHORT if os.path.isdir(SHORT) else None)
                    started: dict[str, Any] = {"address": "local", "include_dashboard": False, "_temp_dir": folder}
                else:
                    started = {"address": address}
                ray.init(**started, log_to_driver=False, logging_level=logging.CRITICAL)
            except Exception as problem:  # ConnectionError, RuntimeError, a bare Exception where a start took too long
                raise _unavailable(address, problem) from None
            found: dict[str, float] = core.cluster_resources()
            nodes = sum(bool(node["Alive"]) for node in core.nodes())
            yield Cluster(found.get("CPU", 0.0), found.get("GPU", 0.0), nodes)
        finally:
            ray.shutdown()
            if folder is not None and not os.environ.get("KARDIA_DEBUG"):
                shutil.rmtree(folder, ignore_errors=True)


def _unavailable(address: str | None, problem: Exception) -> ClusterError:
    said = (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
    if address is None:
        return ClusterError(
            f"Ray could not be started on this machine: {said} (KARDIA_DEBUG=1 keeps its logs; `ray start --head` and "
            "--ray-address auto use one that you started)"
        )
    if "token" in str(problem.__cause__):
        said = "it asks for a token, and has got none, or another: set RAY_AUTH_MODE=token and Ray's RAY_AUTH_TOKEN"
        return ClusterError(f"the Ray cluster at {address} lets nobody in: {said}")
    return ClusterError(f"there is no Ray cluster at {address}: {said}")


def _no_console(ray: Any) -> None:
    """What Ray's own loggers say goes to its files alone."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.data"):
        log = logging.getLogger(name)
        for handler in list(log.handlers):
            if isinstance(handler, logging.StreamHandler):
                log.removeHandler(handler)
        log.addHandler(logging.NullHandler())
        log.propagate = False


@contextmanager
def _quiet() -> Iterator[None]:
    """Turns the process's standard error away, where Ray's core writes past Python; `sys.stderr` still goes there."""
    if os.environ.get("KARDIA_DEBUG"):
        yield
        return
    before = sys.stderr
    before.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = open(  # noqa: SIM115 - closed below
        os.dup(kept), "w", buffering=1, encoding=before.encoding, errors=before.errors
    )
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before
        os.dup2(kept, 2)
        os.close(kept)
