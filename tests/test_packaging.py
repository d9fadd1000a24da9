"""What is distributed: exactly the files that should be, with valid metadata; and it runs without the checkout."""

from __future__ import annotations

import email
import json
import os
import re
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from kardia.version import __version__

ROOT = Path(__file__).resolve().parents[1]
pytest.importorskip("hatchling")

# of training/, recipes and what they read travel; what the judges were taught on, and how, is in the source alone
STAYS = re.compile(r"training/(embedded/.*|.*\.py|.*\.md|smoke/(plain\.json|topics\.jsonl))")
NO_PACKAGE = re.compile(r"(^|/)(__pycache__|\.[^/]*)(/|$)|\.pyc$")


def run_module(*words: str, cwd: Path = ROOT) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, capture_output=True, encoding="utf-8", errors="replace", timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def files(*folders: str) -> set[str]:
    """The paths of all files in folders of the checkout, seen from its root."""
    names = {
        path.relative_to(ROOT).as_posix() for room in folders for path in (ROOT / room).rglob("*") if path.is_file()
    }
    return {name for name in names if not NO_PACKAGE.search(name)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the checkout, without the way through a source distribution."""
    target = tmp_path_factory.mktemp("wheel")
    run_module("hatchling", "build", "-t", "wheel", "-d", str(target))
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The source distribution, and the wheel made of it, as a release builds them."""
    pytest.importorskip("build", reason="needs kardia[release]")
    target = tmp_path_factory.mktemp("dist")
    run_module("build", "--no-isolation", "--outdir", str(target))
    return next(target.glob("*.tar.gz")), next(target.glob("*.whl"))


def environment(home: Path) -> Path:
    """The interpreter of a fresh environment without pip; its dependencies are those of this one."""
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    packages = next(home.rglob("site-packages"))
    # a .pth adds a folder without reading the .pth files in it: an editable kardia there stays out of sight
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(interpreter: Path, distribution: Path) -> None:
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    # a kardia that is seen through the .pth is neither looked at nor removed
    options += ["--no-build-isolation", "--ignore-installed"]
    run_module("pip", "--python", str(interpreter), "install", *options, str(distribution), cwd=interpreter.parent)


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of a fresh environment that holds the wheel."""
    interpreter = environment(tmp_path_factory.mktemp("fresh"))
    install(interpreter, wheel)
    return interpreter


@pytest.fixture
def run(python, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("KARDIA", "PYTHON"))}

    def call(*arguments):
        command = [str(python), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120
        )

    return call


def kardia_script(python):
    return python.with_name("kardia.exe" if os.name == "nt" else "kardia")


def test_the_wheel_holds_what_it_should_and_nothing_else(wheel):
    content = {name for name in files("rubrics", "judges", "training", "examples") if not STAYS.fullmatch(name)}
    assert {"judges/embedded/heads.safetensors", "judges/words/model.json", "rubrics/rubrics.lock"} <= content
    about = f"kardia-{__version__}.dist-info"
    own = {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    own |= {f"{about}/licenses/{name}" for name in ("LICENSE", "THIRD_PARTY.md")}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert set(names) == files("kardia") | {f"kardia/_content/{name}" for name in content} | own
    assert {Path(name).suffix for name in files("kardia")} == {".py", ".typed", ".md", ".js", ".css", ".html", ".txt"}


def test_the_source_distribution_holds_what_it_should_and_nothing_else(distributions):
    archive, _ = distributions
    top = {"README.md", "CHANGELOG.md", "LICENSE", "THIRD_PARTY.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
    assert all(member.isfile() for member in members)
    names = {member.name.removeprefix(f"kardia-{__version__}/") for member in members}
    assert names == files("kardia", "rubrics", "judges", "training", "examples") | top


def test_the_metadata_are_valid(distributions):
    pytest.importorskip("twine", reason="needs kardia[release]")
    run_module("twine", "check", "--strict", *map(str, distributions))


def test_the_metadata_say_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        said = email.message_from_bytes(archive.read(f"kardia-{__version__}.dist-info/METADATA"))
    assert (said["Name"], said["Version"]) == ("kardia", __version__)
    assert said["License-Expression"] == "Apache-2.0 AND MIT"  # MIT: Chart.js
    assert said.get_all("License-File") == ["LICENSE", "THIRD_PARTY.md"]
    assert said["Description-Content-Type"] == "text/markdown"
    extras = {
        "agree",
        "datasets",
        "litellm",
        "local",
        "offline",
        "parquet",
        "postgres",
        "ray",
        "report",
        "serve",
        "train",
    }
    assert extras <= set(said.get_all("Provides-Extra"))
    base = {re.match(r"[\w.-]+", line)[0] for line in said.get_all("Requires-Dist") if "extra ==" not in line}
    assert not base & {"torch", "transformers", "numpy", "ray", "psycopg", "pyarrow"}


def test_the_wheel_is_what_is_imported(run, python):
    done = run("-c", "import kardia, sys; print(kardia.__file__, kardia.__version__, sys.prefix)")
    file, version, prefix = done.stdout.split()
    assert Path(file).is_relative_to(prefix)
    assert not Path(file).is_relative_to(ROOT)
    assert version == __version__


def test_the_wheel_scores_with_the_shipped_rubrics(run, tmp_path):
    row = {"context": "I failed my exam.", "response": "That hurts, after all that work."}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    command = ["score", "rows.jsonl", "--rubric", "emotional-support", "--judge", "fake", "-o", "out.jsonl"]
    done = run("-m", "kardia", *command)
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "out.jsonl").read_text())
    assert (card["rubric"], card["status"]) == ("emotional-support@1.0.0", "scored")


def test_the_wheel_lists_what_it_ships(run):
    rows = json.loads(run("-m", "kardia", "rubric", "list", "--json").stdout)
    assert {row["name"] for row in rows} == {path.name for path in (ROOT / "rubrics").iterdir() if path.is_dir()}
    assert all("_content" in row["file"] and row["hash"] for row in rows)
    judges = json.loads(run("-m", "kardia", "judge", "list", "--json").stdout)
    assert {row["name"] for row in judges} == {path.stem for path in (ROOT / "judges").glob("*.yaml")}


def test_the_wheel_knows_the_rewards(run):
    code = (
        "from kardia.reward.loading import load_reward_spec, reward_names; import kardia\n"
        "print(*reward_names()); print(load_reward_spec('kardia-r1').name, reward_names()['kardia-r1'])\n"
        "print(kardia.load_reward('kardia-r1', 'fake').__name__)"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    names, loaded, made = done.stdout.splitlines()
    assert set(names.split()) == {path.stem for path in (ROOT / "training" / "rewards").glob("*.yaml")}
    assert loaded.startswith("kardia-r1 ")
    assert "_content" in loaded
    assert made == "kardia-r1_fake"


def test_the_command_is_installed(python, tmp_path):
    done = subprocess.run(
        [str(kardia_script(python)), "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == f"kardia {__version__}"


def test_the_source_distribution_builds_the_same_wheel(wheel, distributions):
    _, again = distributions
    assert again.name == wheel.name
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())
        for name in first.namelist():
            assert first.read(name) == second.read(name), name


def test_the_source_distribution_installs(distributions, tmp_path):
    archive, _ = distributions
    interpreter = environment(tmp_path / "fresh")
    install(interpreter, archive)
    command = [str(kardia_script(interpreter)), "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout == f"kardia {__version__}\n", done.stderr
