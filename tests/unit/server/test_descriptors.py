"""The limit of file descriptors; the system's is scripted."""

from __future__ import annotations

import resource

import pytest

from wyoming_tts.server.descriptors import RESERVED, reserve_descriptors
from wyoming_tts.settings import Settings


class System:
    """The limits of a process, and whether they may be raised."""

    def __init__(self, soft: int, hard: int, *, refuses: bool = False) -> None:
        self.limits = soft, hard
        self.refuses = refuses

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        if self.refuses:
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


def reserve(monkeypatch: pytest.MonkeyPatch, system: System, settings: Settings) -> Settings:
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    return reserve_descriptors(settings)


@pytest.mark.parametrize("hard", [65_536, resource.RLIM_INFINITY])
def test_the_soft_limit_is_raised_to_what_both_ports_and_the_reserve_need(
    monkeypatch: pytest.MonkeyPatch, hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    system, settings = System(1024, hard), Settings(max_connections=2000)
    assert reserve(monkeypatch, system, settings) is settings
    assert system.limits == (2 * 2000 + RESERVED, hard)
    assert not caplog.records


@pytest.mark.parametrize("soft", [65_536, resource.RLIM_INFINITY])
def test_a_sufficient_limit_is_left_alone(monkeypatch: pytest.MonkeyPatch, soft: int) -> None:
    system = System(soft, soft, refuses=True)
    settings = Settings()
    assert reserve(monkeypatch, system, settings) is settings


@pytest.mark.parametrize("system", [System(1024, 1024), System(1024, 65_536, refuses=True)])
def test_fewer_connections_are_accepted_where_the_system_allows_too_few_files(
    monkeypatch: pytest.MonkeyPatch, system: System, caplog: pytest.LogCaptureFixture
) -> None:
    settings = reserve(monkeypatch, system, Settings(max_connections=512, max_connections_per_peer=512))
    assert settings.max_connections == settings.max_connections_per_peer == (1024 - RESERVED) // 2
    assert "at most 384 connections" in caplog.text
    assert "LimitNOFILE" in caplog.text


def test_a_tiny_limit_leaves_a_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reserve(monkeypatch, System(100, 100), Settings()).max_connections == 8
