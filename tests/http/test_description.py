"""The app's OpenAPI description, fuzzed with schemathesis: responses conform to it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.http.conftest import Served

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


async def test_responses_to_schemathesis_requests_conform_to_the_openapi_description(
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
    output, _ = await tester.communicate()
    assert tester.returncode == 0, output.decode()
