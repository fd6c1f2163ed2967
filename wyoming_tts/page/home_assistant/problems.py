"""What keeps the page from acting in Home Assistant, each with what to do about it."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType

from wyoming_tts.transports.http.errors import ApiError

_LONGEST_DETAIL = 300


class Problem(StrEnum):
    """Why it cannot be done. The page has a text for each: they are codes of error responses."""

    NOT_AN_ADDON = "home_assistant_not_an_addon"
    NOT_BY_INGRESS = "home_assistant_not_by_ingress"
    NOT_ADMIN = "home_assistant_not_admin"
    NOT_ALLOWED = "home_assistant_not_allowed"
    UNREACHABLE = "home_assistant_unreachable"
    NOT_SET_UP = "home_assistant_not_set_up"
    SEVERAL = "home_assistant_several"
    VOICE_NOT_LISTED = "home_assistant_voice_not_listed"
    SPEAKER_NOT_LISTED = "home_assistant_speaker_not_listed"
    PLAYER_AWAY = "home_assistant_player_away"
    ASSISTANT_CHANGED = "home_assistant_assistant_changed"
    REFUSED = "home_assistant_refused"


_MESSAGES = MappingProxyType(
    {
        Problem.NOT_AN_ADDON: "Speakers and assistants can be used from here only where this server runs as "
        "an add-on of Home Assistant. Follow the steps above instead.",
        Problem.NOT_BY_INGRESS: "Open this page from Home Assistant's sidebar: only there is it known who "
        "you are.",
        Problem.NOT_ADMIN: "Only an administrator of Home Assistant may do that. Sign in as one.",
        Problem.NOT_ALLOWED: "The Supervisor does not let this add-on use Home Assistant. Restart the "
        "add-on; if that does not help, install it again.",
        Problem.UNREACHABLE: "Home Assistant does not answer. If it is starting, try again in a minute.",
        Problem.NOT_SET_UP: "This server is not added to Home Assistant yet. Under Settings → Devices & "
        "services it is shown as discovered: press Add.",
        Problem.SEVERAL: "Home Assistant has several servers like this one, and which is this one cannot be "
        "told. Remove the others under Settings → Devices & services → Wyoming Protocol, or follow the steps "
        "above.",
        Problem.VOICE_NOT_LISTED: "Home Assistant does not list this voice yet. Try again in 30 seconds, or "
        "reload it under Settings → Devices & services → Wyoming Protocol → ⋮ → Reload.",
        Problem.SPEAKER_NOT_LISTED: "An assistant cannot choose among so many speakers of one voice. Choose "
        "the voice's usual speaker under More, or another voice.",
        Problem.PLAYER_AWAY: "This speaker is not there now. See whether it is switched on, and try again.",
        Problem.ASSISTANT_CHANGED: "This assistant was changed or removed in Home Assistant meanwhile. Look "
        "again.",
        Problem.REFUSED: "Home Assistant could not do it.",
    }
)
_STATUS = MappingProxyType(
    {
        Problem.NOT_BY_INGRESS: HTTPStatus.FORBIDDEN,
        Problem.NOT_ADMIN: HTTPStatus.FORBIDDEN,
        Problem.NOT_ALLOWED: HTTPStatus.BAD_GATEWAY,
        Problem.UNREACHABLE: HTTPStatus.SERVICE_UNAVAILABLE,
        Problem.REFUSED: HTTPStatus.BAD_GATEWAY,
    }
)


class HomeAssistantProblem(ApiError):
    """Something cannot be done in Home Assistant; `detail` is what it said itself."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        said = " ".join(detail.split())[:_LONGEST_DETAIL]
        message = f"{_MESSAGES[problem]} It says: {said}" if said else _MESSAGES[problem]
        super().__init__(_STATUS.get(problem, HTTPStatus.CONFLICT), message, code=problem)
        self.problem = problem


class CommandRefused(Exception):
    """Home Assistant refused a command; the message is its own."""
