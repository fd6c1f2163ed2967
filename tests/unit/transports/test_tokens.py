"""Access tokens of browsers: what is taken, what is refused and why, and what may be spoken with one."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from tests.support.signed_tokens import KEY_ID, KEYS, ORIGIN, OTHER_SECRET, SECRET, signed
from wyoming_tts.errors import (
    Busy,
    ErrorCode,
    InvalidToken,
    SpeechError,
    TokenExpired,
    TokenForbidden,
    TokenUsedUp,
)
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.tokens import (
    LEEWAY,
    TokenClaims,
    TokenUsages,
    TokenVerifier,
    looks_like_token,
    mint,
    secrets_by_id,
)

NOW = 1_800_000_000.0


def verifier(clock: ManualClock | None = None, usages: TokenUsages | None = None) -> TokenVerifier:
    return TokenVerifier(KEYS, max_lifetime=3600, usages=usages, clock=clock or ManualClock(NOW))


def token(secret: str = SECRET, **claims: Any) -> str:
    return signed(secret, **{"now": NOW, **claims})


def refusal(sent: str) -> tuple[ErrorCode, str]:
    with pytest.raises(SpeechError) as caught:
        verifier().verify(sent)
    assert caught.value.code in {ErrorCode.TOKEN_INVALID, ErrorCode.TOKEN_EXPIRED}
    assert sent not in str(caught.value)
    return caught.value.code, str(caught.value)


def test_tokens_of_every_key_are_taken_so_that_keys_can_rotate() -> None:
    assert verifier().verify(token()).claims.exp == NOW + 60
    assert verifier().verify(token(OTHER_SECRET, kid="next")).claims.exp == NOW + 60
    assert verifier().verify(token(aud=["shop", "wyoming-tts"], iat=NOW, nbf=NOW)).claims.iat == NOW


def test_what_is_wrong_with_a_token_is_told() -> None:
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    by_rsa = jwt.encode({"aud": "wyoming-tts", "exp": NOW + 60}, rsa_key, "RS256", headers={"kid": KEY_ID})
    header, payload, signature = token().split(".")
    longer = base64.urlsafe_b64encode(json.dumps({"aud": "wyoming-tts", "exp": NOW + 600}).encode())
    for sent, told in {
        token(alg="none"): "`alg`",
        f"{header}.{payload}.": "signature",
        by_rsa: "`alg`",
        token(alg="HS512"): "`alg`",
        token(OTHER_SECRET): "signature",
        f"{header}.{longer.decode().rstrip('=')}.{signature}": "signature",
        token(kid=None): "`kid`",
        token(kid="gone"): "`kid`",
        token(aud="shop"): "`aud`",
        token(aud=None): "`aud`",
        token(exp=None): "`exp`",
        token(exp="soon"): "`exp`",
        token(exp=True): "`exp`",
        token(exp=1e300): "`exp`",
        token(exp=NOW + 3700): "valid for 3700 s",
        token(iat=NOW - 3590): "valid for 3650 s",
        token(nbf=NOW + 20): "not valid yet",
        token(iat=NOW + 20): "not valid yet",
        token(requests=3): "`jti`",
        token(requests=0, jti="a"): "`requests`",
        token(characters=2.5, jti="a"): "`characters`",
        token(voices=[]): "`voices`",
        token(voices=["af_heart", 5]): "`voices`",
        token(origin={"is": ORIGIN}): "`origin`",
        token(note="x" * 5000): "at most 4096",
        "e30.e30.": "`alg`",
        f"{base64.urlsafe_b64encode(b'[' * 2000).decode().rstrip('=')}.e30.AA": "malformed",
    }.items():
        code, message = refusal(sent)
        assert code is ErrorCode.TOKEN_INVALID
        assert told in message, (told, message)


def test_clocks_may_differ_a_little() -> None:
    clock = ManualClock(NOW)
    grant = verifier(clock).verify(token(nbf=NOW + LEEWAY - 1))
    clock.now = NOW + 60 + LEEWAY - 1
    verifier(clock).verify(token())
    grant.spend(1)
    clock.now += 1
    with pytest.raises(TokenExpired, match=r"expired 10 s ago\. Get a new token"):
        verifier(clock).verify(token())
    with pytest.raises(TokenExpired):
        grant.spend(1)


def test_a_quota_holds_for_all_uses_of_a_token_and_a_refused_one_takes_nothing() -> None:
    tokens = verifier()
    sent = token(characters=10, requests=3, jti="a")
    tokens.verify(sent).spend(6)
    with pytest.raises(TokenUsedUp, match="allows 10 characters, of which 6 are used; got 5 more"):
        tokens.verify(sent).spend(5)
    tokens.verify(sent).spend(4)
    tokens.verify(sent).spend(0)
    with pytest.raises(TokenUsedUp, match="3 requests"):
        tokens.verify(sent).spend(0)
    tokens.verify(sent).spend(0, requests=0)
    tokens.verify(token(characters=10, jti="b")).spend(10)
    tokens.verify(token(OTHER_SECRET, kid="next", characters=10, jti="a")).spend(10)  # ids are of a key


def test_streams_at_the_same_time_are_limited() -> None:
    tokens, sent = verifier(), token(streams=1, jti="a")
    with (
        tokens.verify(sent).stream(),
        pytest.raises(Busy, match="1 of 1 streams"),
        tokens.verify(sent).stream(),
    ):
        pass
    with tokens.verify(sent).stream():
        pass


def test_the_number_of_counted_tokens_is_bounded_and_expired_ones_are_forgotten() -> None:
    clock, usages = ManualClock(NOW), TokenUsages(limit=3)
    tokens = verifier(clock, usages)
    for number in range(5):
        tokens.verify(token(requests=1, jti=str(number), exp=NOW + 100 - number)).spend(1)
    assert len(usages) == 3
    for kept in ("0", "1"):
        with pytest.raises(TokenUsedUp):
            tokens.verify(token(requests=1, jti=kept, exp=NOW + 100)).spend(1)
    clock.now = NOW + 200
    tokens.verify(token(now=NOW + 200, requests=1, jti="new"))
    assert len(usages) == 1
    tokens.verify(token(now=NOW + 200))
    assert len(usages) == 1


def test_a_token_with_origins_is_for_pages_of_these() -> None:
    grant = verifier().verify(token(origin=[ORIGIN, "https://www.example.org/"]))
    grant.check_origin("https://EXAMPLE.org")
    grant.check_origin("https://www.example.org")
    for other in ("", "null", "https://example.org.evil.test", "http://example.org"):
        with pytest.raises(TokenForbidden, match="another web page"):
            grant.check_origin(other)
    verifier().verify(token()).check_origin("")


def test_with_a_token_no_voice_is_downloaded_and_only_its_own_speak() -> None:
    restricted = verifier().verify(token(voices="af_*")).restrict(Utterance.of("Hi")).voice
    assert (restricted.may_download, restricted.allowed) == (False, ("af_*",))
    assert verifier().verify(token()).restrict(Utterance.of("Hi")).voice.allowed == ()


def test_a_minted_token_is_one_of_the_format() -> None:
    claims = TokenClaims(aud="wyoming-tts", exp=NOW + 60, voices=("af_*",), characters=5, jti="a")
    assert verifier().verify(mint(secrets_by_id([f"web={SECRET}"]), "web", claims)).claims == claims


def test_neither_secrets_nor_tokens_are_in_a_representation() -> None:
    shown = repr(verifier())
    assert SECRET not in shown
    assert KEY_ID in shown


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys((*TokenClaims.model_fields, "sub", "crit", "b64"), VALUES)
)
HEADERS = st.fixed_dictionaries({}, optional={"kid": VALUES, "crit": VALUES, "b64": VALUES})


@given(header=HEADERS, claims=CLAIMS)
def test_a_signed_token_with_any_content_is_taken_or_refused_as_a_token(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    parts = ({"alg": "HS256", "kid": KEY_ID, **header}, claims)
    signing = b".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in parts)
    mac = jwt.get_algorithm_by_name("HS256")
    signature = base64.urlsafe_b64encode(mac.sign(signing, mac.prepare_key(SECRET))).rstrip(b"=")
    with contextlib.suppress(InvalidToken, TokenForbidden, TokenUsedUp):
        grant = verifier().verify(f"{signing.decode()}.{signature.decode()}")
        grant.check_origin(ORIGIN)
        grant.spend(1)


@given(st.from_regex(r"\A[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{0,40}\Z") | st.text(max_size=60))
def test_any_text_is_refused_as_a_token(text: str) -> None:
    looks_like_token(text)
    with pytest.raises(InvalidToken):
        verifier().verify(text)
