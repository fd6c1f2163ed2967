"""Finished audio that clients asked to keep: its names, its limits, and how it is sent."""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

import httpx
import pytest

from tests.http.conftest import Served, serving
from tests.support.fake_speech_service import FakeSpeechService
from tests.support.fake_synthesizer import RATE, run_in_thread, speech_pcm
from tests.support.held_worker import HeldWorker
from wyoming_tts.encoders import Encoding, make_encoder
from wyoming_tts.speech import AudioChunk, AudioFormat, Utterance
from wyoming_tts.transports.http.app import HttpOptions
from wyoming_tts.transports.http.byte_ranges import requested_range
from wyoming_tts.transports.http.kept_audio import MAX_FILES, AudioRecorder, KeptAudio, KeptFile

T = TypeVar("T")

SPEECH = "/v1/audio/speech"
KEEPING = HttpOptions(kept_audio_bytes=1_000_000)


@pytest.fixture
async def keeping() -> AsyncIterator[Served]:
    async with serving(KEEPING) as running:
        yield running


async def speak(served: Served, path: str = SPEECH, **fields: Any) -> httpx.Response:
    body = {"input": "hello", "response_format": "wav", "return_download_link": True, **fields}
    answer = await served.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer


async def download(served: Served, answer: httpx.Response, **options: Any) -> httpx.Response:
    return await served.client.get(f"/v1{answer.headers['x-download-path']}", **options)


@pytest.mark.parametrize("encoding", [*Encoding])
async def test_the_finished_audio_is_that_of_a_response_sent_as_a_whole(
    keeping: Served, encoding: Encoding
) -> None:
    spoken = await speak(keeping, response_format=encoding)
    whole = await speak(keeping, response_format=encoding, stream=False)
    kept = await download(keeping, spoken)
    assert kept.headers["content-type"] == spoken.headers["content-type"]
    if encoding is not Encoding.OPUS:  # each Ogg stream has a number of its own
        assert kept.content == whole.content
    assert len(kept.content) == int(kept.headers["content-length"]) == len(whole.content)


async def test_the_path_is_right_as_it_is_told_too(keeping: Served) -> None:
    spoken = await speak(keeping)
    assert (await keeping.client.get(spoken.headers["x-download-path"])).content[44:] == speech_pcm("hello")


async def test_audio_may_be_kept_in_another_format_than_it_is_sent_in(keeping: Served) -> None:
    spoken = await speak(keeping, response_format="pcm", sample_rate=RATE, download_format="WAV")
    kept = await download(keeping, spoken)
    assert spoken.content == kept.content[44:]
    assert struct.unpack("<I", kept.content[40:44]) == (len(spoken.content),)


async def test_nothing_is_kept_unless_it_is_asked_for(keeping: Served) -> None:
    answer = await keeping.client.post(SPEECH, json={"input": "hello"})
    assert "x-download-path" not in answer.headers


async def test_a_server_that_keeps_nothing_says_so(served: Served) -> None:
    answer = await speak(served)
    assert answer.headers["x-ignored"] == "return_download_link"
    assert "x-download-path" not in answer.headers


@pytest.mark.parametrize("path", ["/dev/dialogue", "/dev/generate_from_phonemes", "/dev/captioned_speech"])
async def test_whatever_speaks_can_keep_its_audio(keeping: Served, path: str) -> None:
    said = {"turns": [{"voice": "af_heart", "text": "hello"}], "phonemes": "hə"}
    assert (await download(keeping, await speak(keeping, path, **said))).status_code == 200


async def test_events_can_keep_their_audio(keeping: Served) -> None:
    spoken = await speak(keeping, stream_format="sse")
    assert (await download(keeping, spoken)).content[44:] == speech_pcm("hello")


async def test_the_times_of_what_is_said_are_kept_beside_it() -> None:
    service = FakeSpeechService()
    service.tells_words = True
    async with serving(KEEPING, service) as served:
        spoken = await speak(served, input="One two. Three.", return_timing=True)
        path = spoken.headers["x-timing-path"]
        times = await served.client.get(f"/v1{path}")
        without = await speak(served)
        missing = await served.client.get(f"{without.headers['x-download-path']}.json")
    assert path == f"{spoken.headers['x-download-path']}.json"
    assert times.headers["content-type"] == "application/json"
    chunks = times.json()["chunks"]
    assert " ".join(chunk["text"] for chunk in chunks) == "One two. Three."
    assert [set(chunk) for chunk in chunks] == [{"text", "start", "end"}] * len(chunks)
    assert all(chunk["start"] < chunk["end"] for chunk in chunks)
    assert ("x-timing-path" in without.headers, missing.status_code) == (False, 404)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("My talk", "My_talk.wav"),
        ("talk.mp3", "talk.wav"),
        ("../../etc/passwd", "etc_passwd.wav"),
        ('a"; x="b', "a_x_b.wav"),
        ("a\r\nSet-Cookie: x", "a_Set-Cookie_x.wav"),
        ("x" * 500, "x" * 100 + ".wav"),
        ("...", None),
        ("日本", None),
        ("", None),
    ],
)
async def test_a_file_is_saved_under_a_safe_name(keeping: Served, wanted: str, name: str | None) -> None:
    spoken = await speak(keeping)
    kept = await download(keeping, spoken, params={"name": wanted})
    own = spoken.headers["x-download-path"].rpartition("/")[2]
    assert kept.headers["content-disposition"] == f'attachment; filename="{name or own}"'


@pytest.mark.parametrize("name", ["x.mp3", "..", "%2e%2e%2fetc%2fpasswd", "x" * 5000, "x.json", "%00"])
async def test_an_unknown_file_is_not_found(keeping: Served, name: str) -> None:
    await speak(keeping)
    answer = await keeping.client.get(f"/v1/download/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 9),
        ("bytes=40-", 206, 40, None),
        ("bytes=-4", 206, -4, None),
        ("bytes=0-999999999", 206, 0, None),
        ("bytes=0-1,4-5", 200, 0, None),
        ("items=0-1", 200, 0, None),
    ],
)
async def test_part_of_a_file_can_be_asked_for(
    keeping: Served, asked: str, status: int, first: int, last: int | None
) -> None:
    spoken = await speak(keeping, stream=False)
    part = await download(keeping, spoken, headers={"Range": asked})
    expected = spoken.content[first : None if last is None else last + 1]
    assert (part.status_code, part.content) == (status, expected)
    if status == 206:
        start = first % len(spoken.content)
        assert (
            part.headers["content-range"]
            == f"bytes {start}-{start + len(expected) - 1}/{len(spoken.content)}"
        )


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=5-2", "bytes=-0"])
async def test_a_part_behind_the_end_cannot_be_had(keeping: Served, asked: str) -> None:
    spoken = await speak(keeping, stream=False)
    part = await download(keeping, spoken, headers={"Range": asked})
    assert (part.status_code, part.content) == (416, b"")
    assert part.headers["content-range"] == f"bytes */{len(spoken.content)}"


def test_a_range_of_endless_digits_is_no_range() -> None:
    assert not requested_range(f"bytes={'9' * 5000}-", 10).is_part


async def test_head_tells_the_length_of_a_file(keeping: Served) -> None:
    spoken = await speak(keeping)
    path = spoken.headers["x-download-path"]
    got, headed = await keeping.client.get(path), await keeping.client.head(path)
    assert headed.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


async def test_a_file_that_is_not_finished_is_a_conflict() -> None:
    service, may_end = FakeSpeechService(), asyncio.Event()

    async def hold_the_end(_utterance: Utterance) -> None:
        await may_end.wait()

    service.on_end = hold_the_end
    body = {"input": "hello", "response_format": "wav", "return_download_link": True}
    async with (
        serving(KEEPING, service) as served,
        served.client.stream("POST", SPEECH, json=body) as answer,
    ):
        path = answer.headers["x-download-path"]
        early = await served.client.get(path)
        may_end.set()
        await answer.aread()
        finished = await served.client.get(path)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_finished")
    assert finished.status_code == 200


# -- limits ---------------------------------------------------------------------------------------


async def chunks_of(*pieces: str) -> AsyncIterator[AudioChunk]:
    samples = 0
    for piece in pieces:
        pcm = speech_pcm(piece)
        yield AudioChunk(AudioFormat(RATE), pcm, samples)
        samples += len(pcm) // 2


async def record(kept: KeptAudio, *pieces: str) -> KeptFile:
    file = await kept.begin(Encoding.PCM)
    assert file is not None
    recorder = AudioRecorder(kept, file, make_encoder(Encoding.PCM, RATE), run_in_thread)
    async with aclosing(recorder.record(chunks_of(*pieces))) as chunks:
        assert b"".join([chunk.pcm async for chunk in chunks]) == speech_pcm("".join(pieces))
    return file


def keep(max_bytes: int, **options: Any) -> KeptAudio:
    return KeptAudio(max_bytes=max_bytes, run_blocking=run_in_thread, **options)


async def test_the_oldest_files_give_way() -> None:
    kept = keep(2 * len(speech_pcm("abc")))
    files = [await record(kept, "abc") for _ in range(3)]
    assert [kept.find(file.name) for file in files] == [None, *files[1:]]
    assert kept.size == 2 * len(speech_pcm("abc"))


async def test_a_file_beyond_the_limit_is_dropped_before_others() -> None:
    kept = keep(2 * len(speech_pcm("abc")))
    small, large = await record(kept, "abc"), await record(kept, "abcdefg")
    assert kept.find(small.name) is small
    assert kept.find(large.name) is None


async def test_the_number_of_files_is_limited() -> None:
    kept = keep(10**9)
    files = [await record(kept, "a") for _ in range(MAX_FILES + 1)]
    assert kept.find(files[0].name) is None
    assert all(kept.find(file.name) for file in files[1:])


async def test_a_file_is_kept_for_a_while_only() -> None:
    kept = keep(10**9, kept_seconds=0.0)
    file = await record(kept, "a")
    for _ in range(3):
        await asyncio.sleep(0)
    assert kept.find(file.name) is None


async def test_nothing_is_kept_of_a_response_that_was_given_up() -> None:
    kept = keep(10**9)
    file = await kept.begin(Encoding.PCM)
    assert file is not None
    recorder = AudioRecorder(kept, file, make_encoder(Encoding.PCM, RATE), run_in_thread)
    async with aclosing(recorder.record(chunks_of("a", "b"))) as chunks:
        await anext(chunks)
        await anext(chunks)
    assert kept.find(file.name) is None


async def test_what_is_recorded_is_written_before_a_cancelled_response_ends() -> None:
    worker = HeldWorker()
    kept = keep(10**9)
    file = await kept.begin(Encoding.PCM)
    assert file is not None
    recorder = AudioRecorder(kept, file, make_encoder(Encoding.PCM, RATE), worker.run)

    async def consume() -> None:
        async with aclosing(recorder.record(chunks_of("a", "b"))) as chunks:
            async for _ in chunks:
                pass
        worker.done.append("closed")

    consuming = asyncio.create_task(consume())
    await worker.in_use.wait()
    consuming.cancel()
    await asyncio.sleep(0)
    assert not worker.done
    worker.go_on.set()
    await asyncio.wait([consuming])
    assert (consuming.cancelled(), worker.done, kept.find(file.name)) == (True, ["worked"], None)


async def test_a_full_disk_ends_no_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = keep(10**9)
    monkeypatch.setattr("os.pwrite", fail)
    assert kept.find((await record(kept, "a", "b")).name) is None


async def test_without_a_directory_for_temporary_files_the_speech_goes_on(
    keeping: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> tuple[int, str]:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory")

    monkeypatch.setattr("tempfile.mkstemp", fail)
    answer = await speak(keeping)
    assert answer.content[44:] == speech_pcm("hello")
    assert answer.headers["x-download-status"] == "unavailable"
    assert "x-download-path" not in answer.headers


async def test_a_file_is_closed_only_when_nobody_reads_it_any_more() -> None:
    kept = keep(10**9)
    file = await record(kept, "abc")
    kept.drop(file)
    assert file.audio.read(0, 4) == speech_pcm("abc")[:4]
