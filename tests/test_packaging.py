"""What is distributed: the wheel scores without the checkout, and the source distribution builds the same wheel."""

from __future__ import annotations

import json
import os
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


def build(kind: str, source: Path, target: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return next(target.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of a fresh environment that holds the wheel; its dependencies are those of this one."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    interpreter = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", *options, str(wheel)]
    subprocess.run(install, check=True, timeout=120, capture_output=True)
    packages = next(home.rglob("site-packages"))
    # a .pth adds a folder without reading the .pth files in it: an editable kardia there stays out of sight
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
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


def test_the_wheel_carries_the_content(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for room in ("rubrics", "judges"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".yaml", ".j2", ".lock") or path.name.endswith("schema.json"):
                assert f"kardia/_content/{path.relative_to(ROOT).as_posix()}" in names
    for wanted in (
        "student.json",
        "heads.safetensors",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    ):
        assert f"kardia/_content/judges/embedded/{wanted}" in names
    assert "kardia/_content/judges/words/model.json" in names
    for wanted in ("kardia/py.typed", "kardia/__main__.py", f"kardia-{__version__}.dist-info/licenses/LICENSE"):
        assert wanted in names
    assert not [name for name in names if name.startswith(("tests/", "rubrics/", "judges/", "training/"))]
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


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


def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    archive = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "source", filter="data")
    source = next((tmp_path / "source").iterdir())
    again = build("wheel", source, tmp_path / "again")
    assert again.name == wheel.name
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())
        for name in first.namelist():
            assert first.read(name) == second.read(name), name
