"""`wyoming-tts token mint`."""

from __future__ import annotations

import pytest

from tests.support.signed_tokens import KEYS, ORIGIN
from wyoming_tts.commands.cli import main
from wyoming_tts.transports.tokens import TokenVerifier


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (f"{name}={secret}" for name, secret in KEYS.items())
    monkeypatch.setenv("WYOMING_TTS_TOKEN_KEYS", "\n".join(lines))


def test_a_minted_token_says_what_the_flags_say(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--origin", ORIGIN, "--voice", "af_*", "--voice", "en_US-joe-medium", "--characters", "500"]
    assert main(["token", "mint", "--kid", "web", "--seconds", "60", *flags]) == 0
    claims = TokenVerifier(KEYS, max_lifetime=60).verify(capsys.readouterr().out.strip()).claims
    assert (claims.origin, claims.voices) == ((ORIGIN,), ("af_*", "en_US-joe-medium"))
    assert (claims.characters, claims.requests) == (500, None)


def test_without_an_id_the_newest_key_signs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "mint"]) == 0
    sent = capsys.readouterr().out.strip()
    assert TokenVerifier({"next": KEYS["next"]}, max_lifetime=300).verify(sent).claims.jti


def test_what_cannot_be_minted_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, told in {
        ("--kid", "old"): "there is no key 'old', expected one of web, next",
        ("--seconds", "3601"): "--seconds: got 3601, expected at most 3600",
        ("--requests", "0"): "--requests: got 0",
        ("--voice", ""): "--voice: got ''",
    }.items():
        assert main(["token", "mint", *flags]) == 2
        assert told in capsys.readouterr().err


def test_without_keys_it_says_where_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WYOMING_TTS_TOKEN_KEYS")
    assert main(["token", "mint"]) == 2
    assert "--config FILE" in capsys.readouterr().err
