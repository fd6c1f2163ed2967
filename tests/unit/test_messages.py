"""Messages with an ID and arguments: they pass through what takes a text, and are objects in JSON."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass

from wyoming_tts.errors import BadRequest
from wyoming_tts.messages import Message, encode_messages, said_parts

REASON = Message("cut_off", "it ends at byte {end}", end=12)
MESSAGE = Message("refused", "{name} is refused: {reason}.", name="a{b}", reason=REASON)


@dataclass(frozen=True, slots=True)
class Told:
    reason: str
    names: tuple[str, ...]


def test_a_message_is_the_text_of_its_template() -> None:
    assert MESSAGE == "a{b} is refused: it ends at byte 12."
    assert json.dumps(MESSAGE) == '"a{b} is refused: it ends at byte 12."'
    assert f"{MESSAGE}" == str(MESSAGE)


def test_a_message_stays_one_through_errors_copies_and_processes() -> None:
    for kept in (
        str(ValueError(MESSAGE)),
        BadRequest(MESSAGE).message,
        str(BadRequest(MESSAGE)),
        copy.deepcopy(MESSAGE),
        pickle.loads(pickle.dumps(MESSAGE)),
    ):
        assert isinstance(kept, Message)
        assert (kept, kept.id, kept.arguments) == (MESSAGE, "refused", MESSAGE.arguments)


def test_messages_are_encoded_wherever_they_are_and_nothing_else_is_changed() -> None:
    reason = {"text": "it ends at byte 12", "id": "cut_off", "arguments": {"end": 12}}
    assert encode_messages({"of": [MESSAGE, "plain", 1.5, None, True]}) == {
        "of": [
            {"text": str(MESSAGE), "id": "refused", "arguments": {"name": "a{b}", "reason": reason}},
            "plain",
            1.5,
            None,
            True,
        ]
    }
    assert encode_messages((Told(REASON, ("a",)),)) == [{"reason": reason, "names": ["a"]}]
    assert type(encode_messages(MESSAGE)["text"]) is str
    assert encode_messages(Message("odd", "{error}", error=OSError("x")))["arguments"] == {"error": "x"}


def test_a_message_is_the_same_to_another_process_that_reads_it() -> None:
    read = Message.decode(json.loads(json.dumps(encode_messages(MESSAGE))))
    assert isinstance(read, Message)
    assert (read, encode_messages(read)) == (MESSAGE, encode_messages(MESSAGE))
    assert Message.decode("plain") == "plain"


def test_an_error_is_said_in_parts_only_where_it_is_a_message() -> None:
    assert said_parts(REASON, "") == [encode_messages(REASON)]
    assert said_parts(REASON, "Try again.") == [encode_messages(REASON), "Try again."]
    assert said_parts("plain", REASON) == []
