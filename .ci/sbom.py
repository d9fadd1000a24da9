"""Writes the software bill of materials: what kardia with all its extras brings along, in CycloneDX's JSON.

    python .ci/sbom.py [-o build/sbom.cdx.json]

cyclonedx-py reads the environment; what only the tests, the documentation and releases need is left out, and the
result is checked against CycloneDX's own schema before it is written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from closure import ROOT, extras, pulled, required
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from licences import packages
from packaging.utils import canonicalize_name

from kardia.version import __version__

_SPEC = "1.6"


def environment() -> Any:
    """All that is installed beside this interpreter, as cyclonedx-py tells it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "sbom.json"
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")]
        options = ["--mc-type", "library", "--sv", _SPEC, "--output-reproducible", "--no-validate", "-o", str(target)]
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=600)
        return json.loads(target.read_text("utf-8"))


def only(bom: Any, licences: Mapping[str, str], direct: Collection[str], wanted: Collection[str]) -> Any:
    """A bill with some of the components alone, and the dependencies between them.

    Args:
        bom: a bill whose main component is kardia; it is left as it is.
        licences: what is kept, by canonical name, each with its licence for where the bill has none.
        direct: which of them kardia itself requires with those extras, for the bill counts the tools' extras too.
        wanted: the extras that it is made for; a property of the main component names them.
    """
    kept = []
    for component in bom["components"]:
        name = canonicalize_name(component["name"])
        if name in licences:
            said = component.get("licenses") or [{"expression": licences[name], "acknowledgement": "concluded"}]
            kept.append({**component, "licenses": said})
    root = bom["metadata"]["component"]
    names = {component["bom-ref"]: canonicalize_name(component["name"]) for component in kept}
    dependencies = []
    for one in bom["dependencies"]:
        main = one["ref"] == root["bom-ref"]
        if main or one["ref"] in names:
            below = [ref for ref in one.get("dependsOn", ()) if ref in names and (names[ref] in direct or not main)]
            dependencies.append({"ref": one["ref"], **({"dependsOn": below} if below else {})})
    about = {
        **root,
        "version": __version__,
        "purl": f"pkg:pypi/kardia@{__version__}",
        "properties": [{"name": "kardia:extras", "value": ",".join(sorted(wanted))}],
    }
    metadata = {**bom["metadata"], "component": about}
    return {**bom, "components": kept, "dependencies": dependencies, "metadata": metadata}


def written(bom: Any) -> str:
    """The bill as text.

    Raises:
        ValueError: where it is not valid by CycloneDX's schema.
    """
    text = json.dumps(bom, indent=2, ensure_ascii=False) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ValueError(f"the bill of materials is not valid CycloneDX {_SPEC}: {fault}")
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write it, and say what it holds and what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "sbom.cdx.json")
    options = parser.parse_args(arguments)
    installed, missing = pulled()
    absent = {name for pullers in missing.values() for name in pullers}
    wanted = [extra for extra in extras() if extra not in absent]
    licences = {package.name: package.licence for package in packages() if package.name in installed}
    direct = {canonicalize_name(one.name) for one in required("kardia", frozenset(wanted))}
    text = written(only(environment(), licences, direct, wanted))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, "utf-8")
    print(f"{options.output}: {len(installed)} packages, for kardia[{','.join(wanted)}]")
    for name, pullers in missing.items():
        print(f"left out: {', '.join(pullers)}, whose {name} is not installed here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
