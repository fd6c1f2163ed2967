"""What the app's own description promises, tried with requests that are made from it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.http.conftest import Served

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


async def test_requests_made_from_the_description_meet_nothing_it_does_not_tell_of(
    served: Served, tmp_path: Path
) -> None:
    tester = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{served.url}/openapi.json", "--checks", CHECKS, "--phases", "examples,fuzzing"),
        *("--max-examples", "3", "--generation-deterministic", "--no-color"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await tester.communicate()
    assert tester.returncode == 0, told.decode()
