"""What a release rests on: one version, changelog, licences, pins, the bill of materials, the audit, workflows."""

from __future__ import annotations

import copy
import datetime
import importlib
import json
import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

from kardia.version import __version__
from kardia.yamlfile import load_yaml

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
SCRIPTS = ("audit", "closure", "licences", "sbom", "tag")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DAY = datetime.date(2027, 1, 31)


def script(name):
    """A module of .ci/, as `python .ci/NAME.py` finds it."""
    path = str(ROOT / ".ci")
    sys.path.insert(0, path)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(path)


@pytest.fixture(scope="module")
def closure():
    return script("closure")


@pytest.fixture(scope="module")
def licences():
    pytest.importorskip("piplicenses", reason="needs kardia[release]")
    return script("licences")


@pytest.fixture(scope="module")
def found(licences):
    return licences.packages()


@pytest.fixture(scope="module")
def sbom():
    pytest.importorskip("cyclonedx", reason="needs kardia[release]")
    return script("sbom")


@pytest.fixture(scope="module", autouse=True)
def _forget_the_scripts():
    yield
    for name in SCRIPTS:
        sys.modules.pop(name, None)


# the version and the changelog


def test_one_place_states_the_version(closure):
    assert closure.project()["dynamic"] == ["version"]
    modules = (ROOT / "kardia").rglob("*.py")
    stating = [path for path in modules if re.search(r"^__version__ *=", path.read_text("utf-8"), re.M)]
    assert stating == [ROOT / "kardia" / "version.py"]
    # a page may name a wheel, but not an older one
    for path in (ROOT / "README.md", ROOT / "pyproject.toml", ROOT / "Makefile", *(ROOT / "docs").rglob("*.md")):
        named = set(re.findall(r"\bkardia(?:==|-)(\d+\.\d+\.\d+)", path.read_text("utf-8")))
        assert named <= {__version__}, path


def test_the_changelog_fits_the_version():
    sections = script("tag").sections(CHANGELOG)
    assert sections
    assert len(sections) == len(re.findall(r"^## ", CHANGELOG, re.M))
    versions = [name for name, _ in sections if name != "Unreleased"]
    assert [name for name, _ in sections][:1] in (["Unreleased"], [__version__])
    assert versions == sorted(versions, key=lambda text: [int(part) for part in text.split(".")], reverse=True)
    assert all(day for name, day in sections if name != "Unreleased")
    kinds = set(re.findall(r"^### (.*)$", CHANGELOG, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_changelog_names_every_command():
    from typer.main import get_command

    from kardia.cli.app import app

    for name in get_command(app).commands:
        assert re.search(rf"`kardia {name}\b", CHANGELOG), name


NOTES = "# Changes\n\n## Unreleased\n\n## 1.2.0 – 2027-01-31\n\n### Added\n\n## 1.1.0 – 2026-12-01\n"


@pytest.mark.parametrize(
    ("tag", "version", "notes", "said"),
    [
        ("v1.2.0", "1.2.0", NOTES, None),
        ("1.2.0", "1.2.0", NOTES, "the tag should be v1.2.0"),
        ("v1.2.0", "1.3.0", NOTES, "the tag should be v1.3.0"),
        ("v1.1.0", "1.1.0", NOTES, "the newest section is not 1.1.0"),
        ("v1.2.0", "1.2.0", NOTES.replace(" – 2027-01-31", ""), "1.2.0 has no date"),
        ("v0.1.0", "0.1.0", "# Changes\n\n## Unreleased\n", "the newest section is not 0.1.0"),
    ],
)
def test_a_tag_is_held_against_the_checkout(tag, version, notes, said):
    problems = script("tag").problems(tag, version, notes)
    assert bool(problems) == bool(said)
    assert not said or any(said in sentence for sentence in problems)


# what is installed beside kardia


def test_the_closure_follows_extras(closure):
    base, missing = closure.reached(closure.BASE)
    assert {"aiohttp", "yarl", "pydantic-core"} <= base
    assert not base & {"torch", "kardia", "pytest"}
    assert not missing
    parquet, _ = closure.reached("parquet")
    assert parquet - base <= {"pyarrow"}
    assert not set(closure.extras()) & {"dev", "docs", "release"}


def test_an_extra_of_an_extra_is_followed(closure, monkeypatch):
    wanted = {"dependencies": [], "optional-dependencies": {"one": ["kardia[two]"], "two": ["no-such-package[deep]"]}}
    monkeypatch.setattr(closure, "project", lambda: wanted)
    assert closure.reached("one") == (set(), {"no-such-package"})
    assert closure.pulled() == ({}, {"no-such-package": ["one", "two"]})


def test_every_dependency_is_pinned(closure, licences):
    installed, _ = closure.pulled()
    assert [name for name in installed if name not in closure.pins() and not licences.unlisted(name)] == []


def test_every_licence_is_allowed(licences, found):
    assert len(found) > 40
    assert [sentence for sentence in map(licences.refused, found) if sentence] == []


def test_exceptions_are_as_their_reasons_say(found):
    for package in found:
        if package.name.startswith("psycopg"):
            assert package.pulled_by == ("postgres",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("example", "MIT License; Apache Software License", None),
        ("example", "MPL-2.0 AND (Apache-2.0 OR MIT)", None),
        ("example", "Apache-2.0 WITH LLVM-exception", None),
        ("example", "GPL-3.0-only", "GPL-3.0-only"),
        ("example", "MIT OR GPL-2.0-or-later", "GPL-2.0-or-later"),
        ("example", "UNKNOWN", "UNKNOWN"),
        ("example", None, "unknown"),
        ("psycopg", "LGPL-3.0-only", None),
        ("psycopg", "AGPL-3.0-only", "now say 'AGPL-3.0-only'"),
        ("another-lgpl", "LGPL-3.0-only", "LGPL-3.0-only"),
        ("nvidia-cublas", "LicenseRef-NVIDIA-Proprietary", None),
        ("bitsandbytes", None, None),
    ],
)
def test_a_licence_is_judged(licences, name, text, said):
    sentence = licences.refused(licences.Package(name, licences.spdx(name, text), ("",)))
    if said is None:
        assert sentence is None
    else:
        assert sentence.startswith(f"{name}: ")
        assert said in sentence


def test_the_page_of_licences_is_what_is_installed(licences, found, closure):
    if sys.version_info[:2] != (3, 11) or sys.platform != "linux":
        pytest.skip("constraints.txt is of Python 3.11 on Linux, and so is the page")
    pins = closure.pins()
    installed = {name: installed_version(name).split("+")[0] for name in closure.pulled()[0] if name in pins}
    others = [name for name, version in installed.items() if version != pins[name]]
    if others:
        pytest.skip(f"other versions than constraints.txt names: {', '.join(others)}")
    assert licences.PAGE.read_text("utf-8") == licences.page(found), "make licences"


def test_what_ships_inside_has_its_licence():
    notice = (ROOT / "THIRD_PARTY.md").read_text("utf-8")
    assets = ROOT / "kardia" / "report" / "assets"
    code = (assets / "chart.umd.min.js").read_text("utf-8")
    for name, version in re.findall(r"^ \* (Chart\.js|@kurkle/color) v([\d.]+)$", code, re.M):
        assert f"{name} {version}" in notice
    assert re.findall(r"Released under the (.*)$", code, re.M) == ["MIT License", "MIT License"]
    paragraph = "The above copyright notice and this permission notice shall be included in all copies"
    assert paragraph in notice.replace("\n", " ")
    assert (
        re.search(r"Copyright .* Chart\.js Contributors", (assets / "chart.LICENSE.txt").read_text("utf-8"))[0]
        in notice
    )


# the bill of materials


def bill():
    parts = ("Alpha_one==1.0", "beta==2.0", "pytest==9.0")
    components = [
        {"type": "library", "bom-ref": part, "name": part.split("==")[0], "version": part.split("==")[1]}
        for part in parts
    ]
    components[0]["licenses"] = [{"license": {"id": "Apache-2.0"}}]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "library", "bom-ref": "root-component", "name": "kardia"}},
        "components": components,
        "dependencies": [
            {"ref": "root-component", "dependsOn": ["Alpha_one==1.0", "beta==2.0", "pytest==9.0"]},
            {"ref": "Alpha_one==1.0", "dependsOn": ["beta==2.0", "pytest==9.0"]},
            {"ref": "beta==2.0"},
            {"ref": "pytest==9.0", "dependsOn": ["beta==2.0"]},
        ],
    }


def test_the_bill_holds_what_users_install(sbom):
    whole = bill()
    before = copy.deepcopy(whole)
    licences = {"alpha-one": "MIT", "beta": "BSD-3-Clause"}
    made = json.loads(sbom.written(sbom.only(whole, licences, {"alpha-one"}, ["ray", "agree"])))
    assert whole == before
    assert [component["name"] for component in made["components"]] == ["Alpha_one", "beta"]
    told, concluded = (component["licenses"] for component in made["components"])
    assert told == whole["components"][0]["licenses"]
    assert concluded == [{"expression": "BSD-3-Clause", "acknowledgement": "concluded"}]
    assert made["dependencies"] == [
        {"ref": "root-component", "dependsOn": ["Alpha_one==1.0"]},
        {"ref": "Alpha_one==1.0", "dependsOn": ["beta==2.0"]},
        {"ref": "beta==2.0"},
    ]
    main = made["metadata"]["component"]
    assert (main["version"], main["purl"]) == (__version__, f"pkg:pypi/kardia@{__version__}")
    assert main["properties"] == [{"name": "kardia:extras", "value": "agree,ray"}]


def test_a_bill_that_is_not_valid_is_not_written(sbom):
    whole = bill()
    whole["components"][0]["type"] = "no such type"
    with pytest.raises(ValueError, match=r"not valid CycloneDX 1\.6"):
        sbom.written(whole)


# the audit

ACCEPTED = {"id": "GHSA-abcd-1234-wxyz", "package": "aiohttp", "because": "not called", "until": DAY.isoformat()}


def test_the_exceptions_of_the_audit_are_sound():
    audit = script("audit")
    audit.exceptions(load_yaml(audit.EXCEPTIONS).data["exceptions"])


def test_an_exception_counts_until_its_day():
    audit = script("audit")
    accepted = audit.exceptions([ACCEPTED])
    assert audit.command(accepted, DAY)[-2:] == ["--ignore-vuln", ACCEPTED["id"]]
    assert "--ignore-vuln" not in audit.command(accepted, DAY + datetime.timedelta(days=1))


def test_the_audit_passes_over_nothing():
    words = script("audit").command([], DAY)
    assert "--strict" in words
    assert words[-1] == str(ROOT / "constraints.txt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"because": " "}, "has no reason"),
        ({"package": "no-such-package"}, "the exception can go"),
        ({"id": "somewhere"}, "no advisory's id"),
        ({"until": "soon"}, "isoformat"),
        ({"note": "more"}, "needs exactly"),
    ],
)
def test_an_exception_says_all_of_it(change, said):
    with pytest.raises(ValueError, match=said):
        script("audit").exceptions([{**ACCEPTED, **change}])


# the workflows


def workflow(name):
    return load_yaml(ROOT / ".github" / "workflows" / f"{name}.yml").data


def steps(data):
    return [step for job in data["jobs"].values() for step in job["steps"]]


def commands(data):
    return [step["run"] for step in steps(data) if "run" in step]


def test_ci_runs_what_the_project_runs(closure):
    ci = workflow("ci")
    assert set(ci["on"]) == {"push", "pull_request"}
    (job,) = ci["jobs"].values()
    assert {".ci/run", "make slow"} <= set(commands(ci))
    pythons = job["strategy"]["matrix"]["python"]
    named = [re.search(r":: (3\.\d+)$", each) for each in closure.project()["classifiers"]]
    assert pythons == [each[1] for each in named if each]
    assert closure.project()["requires-python"] == f">={pythons[0]}"
    assert "${{ matrix.python }}" in job["container"]
    assert any("constraints.txt" in step.get("with", {}).get("key", "") for step in job["steps"])


def test_ci_has_the_programs_that_tests_start():
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    wanted = {word for found in re.findall(r"wanted\+=\(([^)]*)\)", text) for word in found.split()}
    installed = {word for run in commands(workflow("ci")) for line in run.splitlines() for word in line.split()}
    assert wanted >= {"chromium", "postgresql"}
    assert wanted - installed == set()


def test_a_release_is_checked_before_it_is_published():
    data = workflow("release")
    assert data["on"] == {"push": {"tags": ["v*"]}}
    build = [step.get("run", "") for step in data["jobs"]["build"]["steps"]]
    wanted = (".ci/tag.py", "make build", "make sbom")
    order = [next(at for at, run in enumerate(build) if word in run) for word in wanted]
    assert order == sorted(order)
    assert "make audit" in build
    assert data["jobs"]["publish"]["needs"] == "build"
    assert data["jobs"]["attach"]["needs"] == "publish"
    assert data["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert data["jobs"]["attach"]["permissions"] == {"contents": "write"}


def test_the_audit_is_weekly():
    data = workflow("audit")
    (row,) = data["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", row["cron"])
    assert "python .ci/audit.py" in commands(data)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_the_least_rights(path):
    data = load_yaml(path).data
    assert data["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text("utf-8")
    for job in data["jobs"].values():
        assert job["timeout-minutes"] <= 90
    for step in steps(data):
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@([0-9a-f]{40}|v\d+|release/v1)", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # what an event says, such as a branch's name, never becomes a part of a script
        assert "${{" not in step.get("run", "")


def test_what_is_run_exists():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    page = (ROOT / "docs" / "releasing.md").read_text("utf-8")
    text = "\n".join([page, makefile, *(path.read_text("utf-8") for path in WORKFLOWS)])
    assert set(re.findall(r"(?<=`|\s)make ([a-z-]+)\b(?=`|\n)", text)) <= targets
    for name in re.findall(r"\.ci/[\w.]+\w", text):
        assert (ROOT / name).is_file(), name
    assert {"build", "licences", "sbom", "audit", "release"} <= targets
