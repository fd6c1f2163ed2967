"""Sync with a bucket of S3, as moto plays it: two replicas, writers at once, an outage, no secret told."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.scenarios.ports import free_port
from tests.support.buckets import BLEND, FILES, OTHER_BLEND, VOICE, sync_of, visible, voice_file
from tests.support.parts import running_parts
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.server.voice_upkeep import follow_bucket
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.voices.bucket.object_store import BucketError
from wyoming_tts.voices.bucket.sync import SyncOptions

BOTH_WAYS = SyncOptions(may_push=True)
URL = "s3://speech/prod"
SECRET = "the-secret-access-key"


class _S3:
    """A bucket of moto's server, written to as by any S3 client. Every method blocks."""

    def __init__(self, endpoint: str) -> None:
        import boto3  # noqa: PLC0415 - it comes with moto, and takes half a second

        self._client = boto3.client("s3", endpoint_url=endpoint)
        self._client.create_bucket(Bucket="speech")

    def put(self, name: str, content: bytes = b"") -> None:
        self._client.put_object(Bucket="speech", Key=f"prod/{name}", Body=content)

    def keys(self) -> list[str]:
        listed = self._client.list_objects_v2(Bucket="speech")
        return [each["Key"].removeprefix("prod/") for each in listed.get("Contents", ())]


@asynccontextmanager
async def _moto(port: int) -> AsyncIterator[_S3]:
    """Run moto's server until the block ends; what it stores ends with it."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/moto-api/")
                except httpx.TransportError:
                    assert server.returncode is None
                    await asyncio.sleep(0.05)
                else:
                    break
        yield await asyncio.to_thread(_S3, f"http://127.0.0.1:{port}")
    finally:
        server.kill()
        await server.wait()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return port


@pytest.mark.slow
async def test_replicas_share_a_bucket_of_s3(
    port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    one, two = tmp_path / "one", tmp_path / "two"
    for each in (one, two):
        each.mkdir()
    async with _moto(port) as s3:
        await _a_running_server_gets_voices_and_sends_blends(s3, one)
        await _writers_at_once_lose_nothing(s3, one, two)
        with monkeypatch.context() as outage:
            outage.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
            with pytest.raises(BucketError, match="HTTP error"):
                await sync_of(two, URL).run_once()
        assert (two / FILES[0]).read_bytes() == voice_file(FILES[0]), "what was brought goes on speaking"
        await asyncio.to_thread(s3.put, "lexicon.yaml", b"en:\n  kWh: kilowatt hours\n")
        assert (await sync_of(two, URL).run_once()).brought == ("lexicon.yaml",)
        await asyncio.to_thread(s3.put, "../evil.onnx", b"x")
        with pytest.raises(BucketError, match="invalid path"):
            await sync_of(two, URL).run_once()
    assert visible(two) == sorted([*FILES, "blends.yaml", "lexicon.yaml"])
    assert SECRET not in caplog.text


async def _a_running_server_gets_voices_and_sends_blends(s3: _S3, here: Path) -> None:
    async with (
        running_parts(data_dir=[here], voices_url=URL, offline=False, voices_push=True, voice=VOICE) as parts,
        asyncio.TaskGroup() as tasks,
    ):
        assert parts.bucket is not None
        assert not parts.library.default_is_installed
        for name in FILES:
            await asyncio.to_thread(s3.put, name, voice_file(name))
        (here / "blends.yaml").write_bytes(BLEND)
        running = tasks.create_task(follow_bucket(parts))
        await parts.bucket.first_round_over.wait()
        assert (await parts.library.resolve(VoiceRequest(name=VOICE))).voice.name == VOICE
        status = await ServerSpeechService(parts).status()
        running.cancel()
    bucket = status["bucket"]
    assert isinstance(bucket, dict)
    assert (bucket["url"], bucket["state"], bucket["error"]) == (URL, "synced", "")
    assert bucket["last_round"]["brought"] == (FILES[1], FILES[0])
    assert bucket["last_round"]["pushed"] == ("blends.yaml",)


async def _writers_at_once_lose_nothing(s3: _S3, one: Path, two: Path) -> None:
    assert set((await sync_of(two, URL, BOTH_WAYS).run_once()).brought) == {*FILES, "blends.yaml"}
    written = {BLEND, OTHER_BLEND, OTHER_BLEND + b"# again\n"}
    (one / "blends.yaml").write_bytes(OTHER_BLEND)
    (two / "blends.yaml").write_bytes(OTHER_BLEND + b"# again\n")
    syncs = [sync_of(each, URL, BOTH_WAYS) for each in (one, two)]
    await asyncio.gather(*(sync.run_once() for sync in syncs))
    for sync in syncs:
        await sync.run_once()
    assert (one / "blends.yaml").read_bytes() == (two / "blends.yaml").read_bytes()
    kept = [name for name in await asyncio.to_thread(s3.keys) if name.startswith("versions/blends.yaml/")]
    assert len(kept) == len(written) - 1
