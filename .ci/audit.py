"""Reports the licences and the known vulnerabilities of the packages that Hotlead is installed with.

`python .ci/audit.py sbom.json requirements.lock` (from `make audit`): licences come from the SBOM, a
CycloneDX document; vulnerabilities from the advisories that pip-audit looks up. Exits with 1 if one is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CLASSIFIER = "License :: OSI Approved :: "
_CONDITIONS = ("GPL", "MPL", "Mozilla")
"""Licences that ask something of those who pass changed copies on."""


def main(sbom: Path, lock: Path) -> int:
    """Print both reports; the exit code."""
    components = json.loads(sbom.read_text(encoding="utf-8"))["components"]
    print(f"{len(components)} packages; {sbom} is their SBOM (CycloneDX).\n\nLicences")
    for line in _describe_licences(components):
        print(f"  {line}")
    print("\nKnown vulnerabilities")
    dependencies = _look_up(lock)
    for line in _describe_vulnerabilities(dependencies):
        print(f"  {line}")
    return int(any(dependency.get("vulns") for dependency in dependencies))


def _describe_licences(components: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a licence with the number of packages; the packages where somebody should look are named."""
    packages_by_licence = defaultdict(list)
    for component in components:
        packages_by_licence[_licence_of(component)].append(component["name"])
    lines = []
    for licence, packages in sorted(packages_by_licence.items(), key=lambda pair: -len(pair[1])):
        has_conditions = any(word in licence for word in _CONDITIONS)
        is_named = has_conditions or licence == "not stated"
        lines.append(f"{len(packages):4} {licence}{': ' + ', '.join(packages) if is_named else ''}")
    return lines


def _licence_of(component: Mapping[str, Any]) -> str:
    """The licence of a package: its SPDX expression where it has one, else as its metadata name it."""
    entries = component.get("licenses", [])
    spdx = [e.get("expression") or e.get("license", {}).get("id") for e in entries]
    names = [
        e["license"]["name"].removeprefix(_CLASSIFIER) for e in entries if e.get("license", {}).get("name")
    ]
    licences = list(dict.fromkeys(filter(None, spdx))) or list(dict.fromkeys(names))
    return " / ".join(licences).splitlines()[0][:60] if licences else "not stated"


def _look_up(lock: Path) -> list[dict[str, Any]]:
    """Each pinned package with its known vulnerabilities, or why it could not be looked up."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(lock), "--disable-pip", "--require-hashes"]
    completed = subprocess.run([*command, "-f", "json"], capture_output=True, text=True)
    try:
        dependencies: list[dict[str, Any]] = json.loads(completed.stdout)["dependencies"]
    except ValueError:
        return []
    return dependencies


def _describe_vulnerabilities(dependencies: Sequence[Mapping[str, Any]]) -> list[str]:
    looked_up = [dependency for dependency in dependencies if "skip_reason" not in dependency]
    if not looked_up:
        return [
            "No database of advisories could be reached: nothing was looked up. Run it with internet access."
        ]
    lines = [
        f"{dependency['name']} {dependency['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for dependency in looked_up
        for vulnerability in dependency["vulns"]
    ]
    skipped = [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]
    if skipped:
        lines.append(f"Not looked up: {', '.join(skipped)}")
    return [
        f"{len(looked_up)} packages looked up, {len(lines) - bool(skipped)} vulnerabilities known.",
        *lines,
    ]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
