from __future__ import annotations

import pytest

from wyoming_tts.voices.bucket.layout import FileGroup, group_files, is_voice_file, parse_sums
from wyoming_tts.voices.bucket.object_store import reason_of

HARMLESS = ["de_DE-x-low.onnx", "de_DE-x-low.onnx.json", "voices-v1.0.bin", "styles/my_voice.npy", "a+b.onnx"]
REFUSED = [
    *("../evil.onnx", "/etc/evil.onnx", "a/../evil.onnx", "styles/../evil.npy", "styles/a/b.npy", "..onnx"),
    *(".hidden.onnx", "a\\b.onnx", "a\0.onnx", "a\n.onnx", "ä.onnx", f"{'a' * 300}.onnx", "-rf.onnx"),
    *("notes.txt", "styles/my_voice.onnx", "sub/de_DE-x-low.onnx", "blends.yaml", "", "a@b.onnx"),
]


def test_only_names_that_cannot_leave_the_directory_are_those_of_voice_files() -> None:
    assert [name for name in HARMLESS if not is_voice_file(name)] == []
    assert [name for name in REFUSED if is_voice_file(name)] == []


def test_a_voice_waits_for_both_of_its_files() -> None:
    groups, waiting = group_files(
        ["b.onnx", "a.onnx.json", "a.onnx", "c.onnx.json", "kokoro-v1.0.onnx", "voices-v1.0.bin", "x.txt"]
    )

    assert groups == (
        FileGroup(("a.onnx.json", "a.onnx")),
        FileGroup(("kokoro-v1.0.onnx",)),
        FileGroup(("voices-v1.0.bin",)),
    )
    assert waiting == ("b.onnx", "c.onnx.json")


def test_sums_are_read_as_sha256sum_writes_them() -> None:
    digest = "0" * 64

    assert parse_sums(f"{digest}  a.onnx\n\n{digest} *./b c\n".encode()) == {"a.onnx": digest, "b c": digest}
    with pytest.raises(ValueError, match="SHA256SUMS, line 2"):
        parse_sums(f"{digest}  a.onnx\nabc  b.onnx".encode())


def test_an_error_is_told_without_the_request() -> None:
    request = "Generic S3 error: Error performing GET http://host/b?X-Amz-Signature=abc in 5ms"
    answer = "<Error><Code>NoSuchBucket</Code><Message>There is none</Message><RequestId>1</RequestId>"

    assert reason_of(f"{request} - Server returned 404: <?xml?>\n{answer}") == "NoSuchBucket: There is none"
    assert reason_of(f"{request} - HTTP error: error sending request\n\nDebug source:\n{{}}") == (
        "HTTP error: error sending request"
    )
