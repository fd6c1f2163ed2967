"""Normalization of text without spaces between words: Chinese and Japanese."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.support.line_counting import count_lines, measure_growth
from wyoming_tts.text.normalization import StreamingNormalizer, TextNormalizer
from wyoming_tts.text.plain_text import TextPiece

JAPANESE: list[list[str]] = yaml.safe_load(
    (Path(__file__).parent / "spoken" / "ja.yaml").read_text(encoding="utf-8")
)
_TOKENS = (
    "今 天 气温 5 -3 25.5 １９ ： 19:30 2 个 小时 分钟 年 月 日 2026 ¥ $ ℃ °C % km /h ～ 〜 - – "
    "。 ， （ ） 第 度 A4 5G GHz です は マイナス 時 から 3/4 + = . , 点 two II x"
)


@cache
def _normalizer(language: str) -> TextNormalizer:
    return TextNormalizer(language)


def _normalize(pieces: list[str], language: str = "zh") -> str:
    stream = StreamingNormalizer(_normalizer(language))
    emitted = [piece for text in pieces for piece in stream.feed(TextPiece(text))]
    return "".join(piece.text for piece in [*emitted, *stream.finish()])


@pytest.mark.parametrize(("text", "spoken_form"), JAPANESE)
def test_japanese_which_espeak_cannot_tell_apart_has_its_expected_spelling(
    text: str, spoken_form: str
) -> None:
    assert _normalize([text], "ja") == spoken_form


@pytest.mark.parametrize("text", ["今天天气很好，我们去公园。", "明日は晴れるでしょう。"])
def test_text_without_figures_is_not_held_back(text: str) -> None:
    stream = StreamingNormalizer(_normalizer("zh"))
    for char in text:
        assert stream.feed(TextPiece(char)) == [TextPiece(char)]


def test_a_figure_waits_for_the_two_letters_behind_it_or_a_stop() -> None:
    stream = StreamingNormalizer(_normalizer("zh"))
    assert stream.feed(TextPiece("有5")) == [TextPiece("有")]
    assert stream.feed(TextPiece("个")) == []
    assert stream.feed(TextPiece("人")) == [TextPiece("五个人")]
    assert stream.feed(TextPiece("，25℃")) == [TextPiece("，")]
    assert stream.feed(TextPiece("。")) == [TextPiece("二十五摄氏度。")]


@pytest.mark.parametrize(
    "text", ["用A4纸和5G网络。", "装Win11或iPhone15。", "三点见，百分之五。", "第二〇二六号"]
)
def test_what_is_no_figure_stays(text: str) -> None:
    assert _normalize([text]) == text


@pytest.mark.parametrize(
    ("text", "spoken_form"),
    [
        ("3月5日-8日", "三月五日到八日"),
        ("9点～18点", "九点到十八点"),
        ("2024-2026年", "二零二四到二零二六年"),
        ("5年级有2个班", "五年级有两个班"),
    ],
)
def test_figures_beside_letters_are_verbalized(text: str, spoken_form: str) -> None:
    assert _normalize([text]) == spoken_form


def test_the_spellings_of_a_user_may_be_letters_of_such_a_script() -> None:
    normalizer = TextNormalizer("zh", extra={"phrases": {"重庆": "崇庆"}})
    for pieces in (["我在重庆住了重重。"], list("我在重庆住了重重。")):
        stream = StreamingNormalizer(normalizer)
        emitted = [piece for text in pieces for piece in stream.feed(TextPiece(text))]
        assert "".join(piece.text for piece in [*emitted, *stream.finish()]) == "我在崇庆住了重重。"


@given(
    words=st.lists(st.sampled_from([*_TOKENS.split(), " ", "\n\n"]), max_size=20),
    language=st.sampled_from(["zh", "ja"]),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
@settings(max_examples=scaled_examples(200), deadline=None)
def test_any_text_normalizes_alike_whatever_its_chunks(
    words: list[str], language: str, cuts: list[int]
) -> None:
    text = "".join(words)
    positions = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    pieces = [text[start:end] for start, end in pairwise(positions)]
    assert _normalize(pieces, language) == _normalize([text], language)


@pytest.mark.parametrize(
    "text", ["今" * 20_000, "5今" * 4_000, "5" * 20_000, "第5-" * 4_000, "年2026" * 2_000]
)
def test_hostile_text_is_normalized_cheaply(text: str) -> None:
    assert count_lines(lambda: _normalize([text])) < 150 * len(text)


def test_text_is_normalized_in_linear_time() -> None:
    sentence = "今天气温为25.5℃，下午3点有会议，我们一起去吧。"
    assert measure_growth(lambda times: _normalize([sentence] * times), size=50) < 2.1
