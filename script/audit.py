"""Checks the pinned packages for known vulnerabilities, with pip-audit: `script/audit.py`.

pip-audit, which has to be installed, succeeds when it does not know a package, and fails when its service
does not answer. Here only a vulnerability is a failure; what could not be looked up is printed as a warning.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"


def main() -> int:
    """Print the known vulnerabilities; 1 if there are any."""
    packages = _run_pip_audit()
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        print(_format_vulnerabilities(package))
    if not packages:
        print("WARNING: Nothing was looked up: the service did not answer.")
    elif unknown:
        print(f"WARNING: {len(unknown)} of {len(packages)} packages are unknown: {', '.join(unknown)}.")
    print(f"{len(vulnerable)} of {len(packages) - len(unknown)} packages have known vulnerabilities.")
    return 1 if vulnerable else 0


def _run_pip_audit() -> Sequence[Mapping[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = (
            *(sys.executable, "-m", "pip_audit", "--progress-spinner", "off"),
            *("--requirement", str(_CONSTRAINTS), "--disable-pip", "--no-deps"),
            *("--format", "json", "--output", str(report)),
        )
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 -- our own words
        if not report.exists() or not report.stat().st_size:
            print(done.stderr.strip())
            if "No module named pip_audit" in done.stderr:
                raise SystemExit(2)
            return ()
        found: Sequence[Mapping[str, Any]] = json.loads(report.read_text("utf-8"))["dependencies"]
    return found


def _format_vulnerabilities(package: Mapping[str, Any]) -> str:
    known = (
        f"{each['id']} (fixed in {', '.join(each['fix_versions']) or 'none'})" for each in package["vulns"]
    )
    return f"{package['name']} {package['version']}: {'; '.join(known)}"


if __name__ == "__main__":
    sys.exit(main())
