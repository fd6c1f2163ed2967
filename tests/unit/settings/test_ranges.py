"""Values that a setting takes: numbers within its range, and what is said of any other."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.support.hypothesis_examples import scaled_examples
from tests.unit.settings.loading import INFO, NUMBERS, bounds, load, refusal
from wyoming_tts.settings import (
    SettingsError,
    load_settings,
)


class TestInvalidValues:
    def test_an_invalid_flag_is_reported_with_its_value_and_the_range(self) -> None:
        assert (
            refusal("--port 99999")
            == "port: got '99999' from flag --port, expected a whole number from 0 to 65535"
        )

    def test_an_invalid_variable_is_reported_by_its_name(self) -> None:
        message = refusal(environ={"WYOMING_TTS_SENTENCE_SILENCE": "long"})
        assert message == (
            "sentence_silence: got 'long' from environment WYOMING_TTS_SENTENCE_SILENCE, "
            "expected a number from 0 to 10 seconds"
        )

    def test_an_invalid_value_in_the_file_is_reported_with_file_and_key(
        self, config: Callable[..., str]
    ) -> None:
        file = config("port: 1\n\nnoise_w: -1")
        assert refusal(f"--config {file}") == (
            f"noise_w_scale: got -1 from file {file} line 3, key noise_w, expected a number from 0 to 2"
        )

    def test_an_overridden_invalid_value_is_ignored(self) -> None:
        assert load("--port 5", {"WYOMING_TTS_PORT": "99999"}).settings.port == 5

    def test_several_invalid_values_are_one_line_with_a_count(self) -> None:
        message = refusal("--port x --speed 9 --volume -1")
        assert message.startswith("port: got 'x' from flag --port")
        assert message.endswith("(and 2 more)")

    def test_a_list_with_two_invalid_items_counts_once(self, config: Callable[..., str]) -> None:
        message = refusal(f"--config {config('data_dir: [{}, {}]')}")
        assert message.endswith("expected one or more paths")

    def test_a_value_with_line_breaks_is_reported_in_one_line(self) -> None:
        assert r"got 'a\nb'" in refusal(environ={"WYOMING_TTS_ENGINE": "a\nb"})

    def test_a_long_value_is_truncated_in_the_message(self) -> None:
        assert len(refusal(f"--port {'9' * 5000}")) < 200

    @pytest.mark.parametrize("value", ["yes", "true", "[1]", "{a: 1}", "1.5"])
    def test_yaml_values_that_are_not_whole_numbers_are_refused(
        self, config: Callable[..., str], value: str
    ) -> None:
        assert "expected a whole number from 0 to 65535" in refusal(f"--config {config(f'port: {value}')}")

    @pytest.mark.parametrize("name", [info.name for info in NUMBERS])
    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1,5", "0x10", "ten"])
    def test_values_that_are_not_numbers_are_refused(self, name: str, value: str) -> None:
        message = refusal(environ={INFO[name].variables[0]: value})
        assert message.startswith(f"{name}: got {value!r}")
        assert message.endswith(f"expected {INFO[name].expects}")

    @pytest.mark.parametrize("value", ["%(message)q", "%(nonsense)s", "no field at all", "%(message)d"])
    def test_a_log_format_that_cannot_format_a_record_is_refused(self, value: str) -> None:
        assert "from flag --log-format, expected a %-style" in refusal(f"--log-format {shlex.quote(value)}")

    @pytest.mark.parametrize("value", ["Piper", "../x", "9", "a b"])
    def test_an_engine_name_is_a_plain_identifier(self, value: str) -> None:
        assert "engine: got" in refusal(f"--engine {shlex.quote(value)}")

    def test_a_third_party_engine_is_accepted(self) -> None:
        assert load("--engine my_engine-2").settings.engine == "my_engine-2"

    @pytest.mark.parametrize("value", ["huggingface.co", "ftp://a", "https://", "http://[a"])
    def test_the_hub_endpoint_must_be_an_http_url(self, value: str) -> None:
        assert "expected an http:// or https:// address" in refusal(f"--hub-endpoint {value}")

    def test_letters_are_not_accepted_as_punctuation(self) -> None:
        assert "expected punctuation characters, or none" in refusal("--auto-punctuation yes")

    def test_a_switch_must_be_true_or_false(self) -> None:
        expected = "debug: got 'maybe' from environment WYOMING_TTS_DEBUG, expected true or false"
        assert refusal(environ={"WYOMING_TTS_DEBUG": "maybe"}) == expected


def with_number(name: str, value: float) -> float:
    """The setting as it is loaded from a flag with this number."""
    return getattr(load_settings({name: str(value)}, environ={}).settings, name)  # type: ignore[no-any-return]


def refuses(name: str, value: float) -> bool:
    with pytest.raises(SettingsError) as error:
        with_number(name, value)
    return str(error.value).endswith(f"from flag {INFO[name].flags[0]}, expected {INFO[name].expects}")


# Each name loads the same code, so that few numbers of each are enough beside the ends of its range.
FEW = examples(max_examples=scaled_examples(10))


@pytest.mark.parametrize("name", [info.name for info in NUMBERS])
class TestRanges:
    def test_the_ends_of_the_range_are_accepted_and_what_is_next_to_them_is_refused(self, name: str) -> None:
        lowest, highest = bounds(INFO[name])
        whole = isinstance(highest, int)
        below = int(lowest) - 1 if whole else math.nextafter(lowest, -math.inf)
        above = highest + 1 if whole else math.nextafter(highest, math.inf)
        lowest = int(lowest) if whole else lowest
        assert (with_number(name, lowest), with_number(name, highest)) == (lowest, highest)
        assert refuses(name, below)
        assert refuses(name, above)

    @FEW
    @given(data=st.data())
    def test_a_number_within_the_range_is_accepted(self, name: str, data: st.DataObject) -> None:
        lowest, highest = bounds(INFO[name])
        numbers = (
            st.integers(int(lowest), highest) if isinstance(highest, int) else st.floats(lowest, highest)
        )
        value = data.draw(numbers)
        assert with_number(name, value) == value

    @FEW
    @given(data=st.data())
    def test_a_number_outside_the_range_is_refused_with_the_range(
        self, name: str, data: st.DataObject
    ) -> None:
        lowest, highest = bounds(INFO[name])
        finite = st.floats(allow_nan=False, allow_infinity=False)
        numbers = st.integers() if isinstance(highest, int) else finite
        assert refuses(name, data.draw(numbers.filter(lambda number: not lowest <= number <= highest)))

    def test_the_documented_range_is_the_enforced_range(self, name: str) -> None:
        lowest, highest = bounds(INFO[name])
        assert f"{highest:g}" in INFO[name].expects or str(highest) in INFO[name].expects
        assert f"from {lowest:g} " in INFO[name].expects or "above 0," in INFO[name].expects
