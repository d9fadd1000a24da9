"""One Ray for all tests of this folder: starting one takes longer than most of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.command import surroundings

HOST = """\
import os, sys, ray
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
ray.shutdown()
"""


@dataclass(frozen=True)
class Cluster:
    """A Ray with two CPUs in a process of its own.

    Attributes:
        address: for `--ray-address`.
        folder: where it writes.
        environment: of whoever connects to it.
    """

    address: str
    folder: Path
    environment: dict[str, str]


@pytest.fixture(scope="session")
def surrounding(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that uses Ray."""
    pytest.importorskip("ray", reason="needs kardia[ray]")
    pytest.importorskip("pyarrow")
    # every process of Ray imports jsonschema, and that compiles a grammar for several seconds where it finds one; more
    # than a few of them on a small machine, and Ray's own 15 s for its agents are over before they are up
    without = tmp_path_factory.mktemp("without")
    (without / "rfc3987_syntax.py").write_text("raise ImportError\n", encoding="utf-8")
    kept = {"KARDIA_LEDGER": "off", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    kept["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))
    path = os.pathsep.join((str(without), surroundings()["PYTHONPATH"]))
    # a cluster's token, as its owner has it
    kept |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def cluster(surrounding: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # a socket's path holds 107 characters: not in pytest's own folder
    import tempfile

    with tempfile.TemporaryDirectory(prefix="kt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        host = subprocess.Popen(
            [sys.executable, "-c", HOST, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**surroundings(), **surrounding},
        )
        assert host.stdin is not None
        assert host.stdout is not None
        try:
            address = host.stdout.readline().strip()
            assert address, "Ray did not start"
            yield Cluster(address, Path(folder), surrounding)
        finally:
            host.stdin.close()
            host.wait(60)
            host.stdout.close()
