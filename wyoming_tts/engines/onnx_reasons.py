"""Why onnxruntime cannot load or run a model: messages, which a page can say in its reader's language."""

from __future__ import annotations

import re
from typing import Final

from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import causes, underlying_reason

_PREFIX: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_MOST_QUOTED: Final = 200
"""Characters of what onnxruntime says itself."""
_NEWER: Final = ("IR version", "opset")
"""What it names of a model that was made for a later release."""


def onnx_reason(error: Exception) -> str:
    """Return why onnxruntime failed, by the class of its exception; what is rare in its own words."""
    if is_of_memory(error):
        return Message("no_memory", "Cannot allocate memory")
    own = " ".join(_PREFIX.sub("", str(error)).split())[:_MOST_QUOTED].rstrip(" .")
    return _known_reason(type(error).__name__, own) or own or underlying_reason(error)


def _known_reason(kind: str, detail: str) -> Message | None:
    """The reason for a class of exception and what it says; None if it is rare."""
    match kind:
        case "InvalidProtobuf":
            return Message("onnx_damaged", "its file is no ONNX model, or is damaged")
        case "NoSuchFile":
            return Message("no_such_file", "there is no such file")
        case "InvalidGraph":
            return Message("onnx_invalid", "its network is invalid ({detail})", detail=detail)
        case "NotImplemented":
            return Message("onnx_lacks", "this onnxruntime lacks what it needs ({detail})", detail=detail)
    if any(each in detail for each in _NEWER):
        return Message("onnx_too_old", "it was made for a newer onnxruntime ({detail})", detail=detail)
    return None


def is_of_memory(error: BaseException | None) -> bool:
    """Whether it was memory that could not be had; onnxruntime says so only in its messages."""
    return any(
        isinstance(cause, MemoryError) or "bad_alloc" in str(cause) or "allocate memory" in str(cause)
        for cause in causes(error)
    )
