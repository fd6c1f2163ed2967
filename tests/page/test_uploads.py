"""Voice files uploaded whole or in parts, validated, and installed or refused."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.fake_synthesizer import run_in_thread
from tests.support.tones import LETTERS
from tests.support.voice_files import CONFIG, MODEL, names, pieces
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.engines.piper.trial import TrialFailed
from wyoming_tts.errors import BadRequest, TooLong, VoiceUnavailable
from wyoming_tts.page import uploads as voice_uploads
from wyoming_tts.page.uploads import STAGING, UploadRange, VoiceUploads
from wyoming_tts.page.voices import VoiceService

TryVoice: TypeAlias = Callable[[Path, int], Awaitable[None]]


@pytest.fixture
def service(parts: Parts) -> VoiceService:
    return VoiceService(parts)


@pytest.fixture
def uploads(data_dir: Path) -> VoiceUploads:
    return uploads_into(data_dir)


def uploads_into(data_dir: Path, free: int = 10**12, try_voice: TryVoice | None = None) -> VoiceUploads:
    async def do_nothing(*_: object) -> None:
        pass

    return VoiceUploads(
        data_dir,
        run_blocking=run_in_thread,
        conflict=lambda _: "",
        on_installed=do_nothing,
        try_voice=try_voice or do_nothing,
        free_space=lambda _: free,
    )


async def upload_voice(
    uploads: VoiceUploads, name: str, *, model: bytes = MODEL, config: bytes = CONFIG
) -> str | None:
    await uploads.receive(f"{name}.onnx.json", pieces(config), UploadRange(total=len(config)))
    return (await uploads.receive(f"{name}.onnx", pieces(model), UploadRange(total=len(model)))).voice


async def test_an_uploaded_voice_is_installed_and_usable(
    service: VoiceService, parts: Parts, data_dir: Path
) -> None:
    assert await upload_voice(service.uploads, "en_US-brought-low") == "en_US-brought-low"
    listed = {voice.name for voice in (await service.view()).voices}
    assert "en_US-brought-low" in listed
    assert (data_dir / "en_US-brought-low.onnx").read_bytes() == MODEL
    assert parts.library.is_installed("en_US-brought-low")
    assert (await service.make_default("en_US-brought-low")).name == "en_US-brought-low"
    assert names(data_dir / STAGING) == []


async def test_a_file_uploaded_in_parts_is_assembled(uploads: VoiceUploads, data_dir: Path) -> None:
    half = len(MODEL) // 2
    await uploads.receive("parts.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    first = await uploads.receive("parts.onnx", pieces(MODEL[:half]), UploadRange(0, len(MODEL)))
    assert (first.received, first.voice) == (half, None)
    with pytest.raises(BadRequest, match=f"continues at byte {half}"):
        await uploads.receive("parts.onnx", pieces(MODEL[half + 1 :]), UploadRange(half + 1, len(MODEL)))
    last = await uploads.receive("parts.onnx", pieces(MODEL[half:]), UploadRange(half, len(MODEL)))
    assert (last.received, last.voice) == (len(MODEL), "parts")
    assert (data_dir / "parts.onnx").read_bytes() == MODEL


async def test_an_interrupted_part_can_be_sent_again(uploads: VoiceUploads) -> None:
    async def interrupted_body() -> AsyncIterator[bytes]:
        yield MODEL[1000:2000]
        raise ConnectionResetError

    await uploads.receive("torn.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    await uploads.receive("torn.onnx", pieces(MODEL[:1000]), UploadRange(0, len(MODEL)))
    with pytest.raises(ConnectionResetError):
        await uploads.receive("torn.onnx", interrupted_body(), UploadRange(1000, len(MODEL)))
    rest = await uploads.receive("torn.onnx", pieces(MODEL[1000:]), UploadRange(1000, len(MODEL)))
    assert rest.voice == "torn"


@pytest.mark.parametrize(
    ("model", "config", "reason"),
    [
        (MODEL[:1200], CONFIG, "not complete"),
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", CONFIG, "not a voice"),
        (MODEL, b"{", "its json is broken"),
        (MODEL, b"[]", "its json has no fields"),
        (MODEL, b'{"phoneme_id_map": {}}', "its json has no 'audio'"),
    ],
    ids=["torn", "pickle", "no json", "no mapping", "no config"],
)
async def test_invalid_voice_files_are_refused_and_leave_nothing_behind(
    uploads: VoiceUploads, data_dir: Path, model: bytes, config: bytes, reason: str
) -> None:
    before = names(data_dir, "[!.]*")
    with pytest.raises(BadRequest, match=reason):
        await upload_voice(uploads, "bad", model=model, config=config)
    assert names(data_dir, "[!.]*") == before
    assert names(data_dir / STAGING) == []


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
        "漢" * 99 + ".onnx",
        "漢" * 34 + ".onnx",
        "😀.onnx",
        "a" * 101 + ".onnx",
        "a\u202eb.onnx",
        "a\nb.onnx",
        "a\\b.onnx",
        "CON.onnx",
        "nul.de.onnx",
        "a..onnx",
    ],
)
async def test_invalid_file_names_are_refused(uploads: VoiceUploads, data_dir: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        await uploads.receive(name, pieces(MODEL), UploadRange(total=len(MODEL)))
    assert not (data_dir / STAGING).exists()


@pytest.mark.parametrize("name", ["漢" * 33, "a" * 100, "صوت", "conny", "console"])
async def test_names_of_any_script_are_accepted_up_to_100_bytes(uploads: VoiceUploads, name: str) -> None:
    with pytest.raises(BadRequest, match="uploaded first"):
        await uploads.receive(f"{name}.onnx", pieces(MODEL), UploadRange(total=len(MODEL)))


async def test_the_name_of_an_existing_voice_or_file_is_refused(
    service: VoiceService, data_dir: Path
) -> None:
    with pytest.raises(BadRequest, match="already"):
        await upload_voice(service.uploads, LETTERS.name)
    (data_dir / "left.onnx").write_bytes(b"x")
    with pytest.raises(BadRequest, match="already"):
        await upload_voice(service.uploads, "left")


async def test_a_model_before_its_config_is_refused_without_reading_the_body(uploads: VoiceUploads) -> None:
    async def unread_body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(BadRequest, match="has to be uploaded first"):
        await uploads.receive("alone.onnx", unread_body(), UploadRange(total=len(MODEL)))


@pytest.mark.parametrize("total", [2001, None], ids=["announced", "measured"])
async def test_a_file_over_the_size_limit_is_refused(
    uploads: VoiceUploads, data_dir: Path, monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    monkeypatch.setattr(voice_uploads, "MAX_BYTES", 2000)
    with pytest.raises(TooLong, match="larger than"):
        await uploads.receive("large.onnx.json", pieces(bytes(2001), 500), UploadRange(total=total))
    assert names(data_dir, f"{STAGING}/**/*.part") == []


async def test_a_body_longer_than_its_announced_length_is_refused(uploads: VoiceUploads) -> None:
    with pytest.raises(BadRequest, match="more than the 100 bytes announced"):
        await uploads.receive("more.onnx.json", pieces(CONFIG), UploadRange(total=100))


async def test_too_little_free_space_is_refused_before_anything_is_written(data_dir: Path) -> None:
    with pytest.raises(BadRequest, match="are free"):
        await uploads_into(data_dir, free=16_000_100).receive(
            "x.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG))
        )
    assert names(data_dir, f"{STAGING}/**/*.part") == []


async def test_a_directory_that_cannot_be_written_is_told(data_dir: Path) -> None:
    """Which is a file here: those who may write everywhere are refused, too."""
    (data_dir / STAGING).write_bytes(b"")
    with pytest.raises(VoiceUnavailable, match=f"{STAGING}.* cannot be written: .*Check that the directory"):
        await uploads_into(data_dir).receive("en_US-brought-low.onnx.json", pieces(CONFIG), UploadRange())


async def test_a_disk_that_gets_full_meanwhile_is_told_and_the_part_can_be_sent_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = uploads_into(data_dir)
    fail = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(VoiceUploads, "_write_block", lambda *_: (_ for _ in ()).throw(fail))
        with pytest.raises(VoiceUnavailable, match="No space left on device"):
            await uploads.receive("en_US-brought-low.onnx.json", pieces(CONFIG), UploadRange())
    done = await uploads.receive("en_US-brought-low.onnx.json", pieces(CONFIG), UploadRange())
    assert done.received == len(CONFIG)


async def test_abandoned_uploads_are_deleted_from_staging(uploads: VoiceUploads, data_dir: Path) -> None:
    await uploads.receive("old.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    os.utime(data_dir / STAGING / "old", (0, 0))
    await uploads.receive("new.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    assert names(data_dir / STAGING) == ["new"]


async def test_a_concurrent_upload_of_the_same_file_is_refused(uploads: VoiceUploads) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def blocked_body() -> AsyncIterator[bytes]:
        started.set()
        await release.wait()
        yield CONFIG

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(
            uploads.receive("x.onnx.json", blocked_body(), UploadRange(total=len(CONFIG)))
        )
        await started.wait()
        with pytest.raises(BadRequest, match="already being uploaded"):
            await uploads.receive("x.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
        release.set()
    assert first.result().received == len(CONFIG)


async def test_a_voice_that_fails_its_trial_is_refused_with_the_reason(data_dir: Path) -> None:
    async def fail(model: Path, size: int) -> None:
        assert (model.name, size) == ("mute.onnx", len(MODEL))
        raise TrialFailed("it makes no sound")

    before = names(data_dir, "[!.]*")
    with pytest.raises(BadRequest, match=r"mute is not a voice: it makes no sound\."):
        await upload_voice(uploads_into(data_dir, try_voice=fail), "mute")
    assert names(data_dir, "[!.]*") == before
    assert names(data_dir / STAGING) == []


async def test_voices_are_tried_one_at_a_time(data_dir: Path) -> None:
    running: list[str] = []
    most = 0

    async def record(model: Path, _: int) -> None:
        nonlocal most
        running.append(model.stem)
        most = max(most, len(running))
        for _ in range(50):
            await asyncio.sleep(0)
        running.remove(model.stem)

    uploads = uploads_into(data_dir, try_voice=record)
    uploaded = await asyncio.gather(*(upload_voice(uploads, name) for name in ("one", "two", "three")))
    assert (uploaded, most) == (["one", "two", "three"], 1)


async def test_a_name_that_was_taken_during_the_trial_is_refused(data_dir: Path) -> None:
    conflicts: list[str] = []

    async def take_the_name(*_: object) -> None:
        conflicts.append("There is a voice late already.")

    async def do_nothing() -> None:
        pass

    uploads = VoiceUploads(
        data_dir,
        run_blocking=run_in_thread,
        conflict=lambda _: "".join(conflicts),
        on_installed=do_nothing,
        try_voice=take_the_name,
    )
    with pytest.raises(BadRequest, match="already"):
        await upload_voice(uploads, "late")
    assert names(data_dir / STAGING) == []
