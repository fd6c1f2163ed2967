"""Voice files uploaded whole or in parts, validated, and installed or refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fake_synthesizer import run_in_thread
from tests.support.tones import LETTERS
from tests.support.voice_files import CONFIG, MODEL, names, pieces
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest, TooLong
from wyoming_tts.page import uploads as voice_uploads
from wyoming_tts.page.uploads import STAGING, UploadRange, VoiceUploads
from wyoming_tts.page.voices import VoiceService


@pytest.fixture
def service(parts: Parts) -> VoiceService:
    return VoiceService(parts)


@pytest.fixture
def uploads(home: Path) -> VoiceUploads:
    return uploads_into(home)


def uploads_into(home: Path, free: int = 10**12) -> VoiceUploads:
    async def told() -> None:
        pass

    return VoiceUploads(
        home,
        run_blocking=run_in_thread,
        conflict=lambda _: "",
        on_installed=told,
        free_space=lambda _: free,
    )


async def brought(
    uploads: VoiceUploads, name: str, *, model: bytes = MODEL, config: bytes = CONFIG
) -> str | None:
    await uploads.receive(f"{name}.onnx.json", pieces(config), UploadRange(total=len(config)))
    return (await uploads.receive(f"{name}.onnx", pieces(model), UploadRange(total=len(model)))).voice


async def test_a_voice_that_is_brought_speaks(service: VoiceService, parts: Parts, home: Path) -> None:
    assert await brought(service.uploads, "en_US-brought-low") == "en_US-brought-low"
    listed = {voice.name for voice in (await service.view()).voices}
    assert "en_US-brought-low" in listed
    assert (home / "en_US-brought-low.onnx").read_bytes() == MODEL
    assert parts.library.is_installed("en_US-brought-low")
    assert (await service.make_default("en_US-brought-low")).name == "en_US-brought-low"
    assert names(home / STAGING) == []


async def test_a_file_in_parts_is_put_together(uploads: VoiceUploads, home: Path) -> None:
    half = len(MODEL) // 2
    await uploads.receive("parts.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    first = await uploads.receive("parts.onnx", pieces(MODEL[:half]), UploadRange(0, len(MODEL)))
    assert (first.received, first.voice) == (half, None)
    with pytest.raises(BadRequest, match=f"continues at byte {half}"):
        await uploads.receive("parts.onnx", pieces(MODEL[half + 1 :]), UploadRange(half + 1, len(MODEL)))
    last = await uploads.receive("parts.onnx", pieces(MODEL[half:]), UploadRange(half, len(MODEL)))
    assert (last.received, last.voice) == (len(MODEL), "parts")
    assert (home / "parts.onnx").read_bytes() == MODEL


async def test_a_part_that_breaks_off_can_be_sent_again(uploads: VoiceUploads) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield MODEL[1000:2000]
        raise ConnectionResetError

    await uploads.receive("torn.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    await uploads.receive("torn.onnx", pieces(MODEL[:1000]), UploadRange(0, len(MODEL)))
    with pytest.raises(ConnectionResetError):
        await uploads.receive("torn.onnx", breaking(), UploadRange(1000, len(MODEL)))
    rest = await uploads.receive("torn.onnx", pieces(MODEL[1000:]), UploadRange(1000, len(MODEL)))
    assert rest.voice == "torn"


@pytest.mark.parametrize(
    ("model", "config", "reason"),
    [
        (MODEL[:1200], CONFIG, "not complete"),
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", CONFIG, "not a voice"),
        (MODEL, b"{", "not valid JSON"),
        (MODEL, b"[]", "phoneme_id_map"),
        (MODEL, b'{"phoneme_id_map": {}}', "not a voice"),
    ],
    ids=["torn", "pickle", "no json", "no mapping", "no config"],
)
async def test_files_that_are_no_voice_are_refused_and_leave_nothing(
    uploads: VoiceUploads, home: Path, model: bytes, config: bytes, reason: str
) -> None:
    before = names(home, "[!.]*")
    with pytest.raises(BadRequest, match=reason):
        await brought(uploads, "bad", model=model, config=config)
    assert names(home, "[!.]*") == before
    assert names(home / STAGING) == []


@pytest.mark.parametrize(
    "name",
    [
        "../x.onnx",
        "x",
        ".x.onnx",
        "x/y.onnx",
        "x.onnx.json.exe",
        "a+b.onnx",
        "x#1.onnx",
        "x\0.onnx",
        "",
        ".onnx",
    ],
)
async def test_bad_names_are_refused(uploads: VoiceUploads, home: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        await uploads.receive(name, pieces(MODEL), UploadRange(total=len(MODEL)))
    assert not (home / STAGING).exists()


async def test_a_name_that_is_taken_is_refused(service: VoiceService, home: Path) -> None:
    with pytest.raises(BadRequest, match="already"):
        await brought(service.uploads, LETTERS.name)
    (home / "left.onnx").write_bytes(b"x")
    with pytest.raises(BadRequest, match="already"):
        await brought(service.uploads, "left")


async def test_a_model_without_its_json_is_refused_at_once(uploads: VoiceUploads) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(BadRequest, match="has to be uploaded first"):
        await uploads.receive("alone.onnx", unread(), UploadRange(total=len(MODEL)))


@pytest.mark.parametrize("total", [2001, None], ids=["told", "found out"])
async def test_a_file_that_is_too_large_is_refused(
    uploads: VoiceUploads, home: Path, monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    monkeypatch.setattr(voice_uploads, "CONFIG_BYTES", 2000)
    with pytest.raises(TooLong, match="larger than"):
        await uploads.receive("large.onnx.json", pieces(bytes(2001), 500), UploadRange(total=total))
    assert names(home, f"{STAGING}/**/*.part") == []


async def test_a_body_larger_than_was_said_is_refused(uploads: VoiceUploads) -> None:
    with pytest.raises(BadRequest, match="more than the 100 bytes announced"):
        await uploads.receive("more.onnx.json", pieces(CONFIG), UploadRange(total=100))


async def test_a_full_disk_is_told_before_anything_is_written(home: Path) -> None:
    with pytest.raises(BadRequest, match="are free"):
        await uploads_into(home, free=16_000_100).receive(
            "x.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG))
        )
    assert names(home, f"{STAGING}/**/*.part") == []


async def test_what_nobody_sent_the_rest_of_is_thrown_away(uploads: VoiceUploads, home: Path) -> None:
    await uploads.receive("old.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    os.utime(home / STAGING / "old", (0, 0))
    await uploads.receive("new.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    assert names(home / STAGING) == ["new"]


async def test_two_uploads_of_one_voice_do_not_mix(uploads: VoiceUploads) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        has_begun.set()
        await may_end.wait()
        yield CONFIG

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(uploads.receive("x.onnx.json", held(), UploadRange(total=len(CONFIG))))
        await has_begun.wait()
        with pytest.raises(BadRequest, match="already being uploaded"):
            await uploads.receive("x.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
        may_end.set()
    assert first.result().received == len(CONFIG)
