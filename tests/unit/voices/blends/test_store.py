"""Blend store: concurrent writers lose no acknowledged write, and file contents are preserved."""

from __future__ import annotations

import errno
import logging
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.voices.blends.test_recipes import recipes
from wyoming_tts.errors import BadRequest, Busy, UnknownVoice, VoiceUnavailable
from wyoming_tts.voices.blends import store as blend_store
from wyoming_tts.voices.blends import yaml_format as blend_yaml
from wyoming_tts.voices.blends.mixing import Blend, BlendSet
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.yaml_format import format_blends, load_presets, parse_blends
from wyoming_tts.voices.catalogue import data_directory, read_kokoro_catalogue
from wyoming_tts.yaml_files.editing import NotEditable

VOICES = {"af_bella": "en_US", "af_sky": "en_US", "bf_emma": "en_GB"}
PRESET = Blend("calm", parse_recipe("af_bella+af_sky"), description="A preset.")


def make_blend(name: str, recipe: str = "af_bella(2)+af_sky") -> Blend:
    return Blend(name, parse_recipe(recipe))


@pytest.fixture
def store(tmp_path: Path) -> BlendStore:
    return BlendStore(tmp_path / "data", voices=lambda: VOICES, presets=[PRESET])


def names(store: BlendStore) -> list[str]:
    return [blend.name for blend in store.blends()]


def test_without_a_file_the_store_has_the_presets(store: BlendStore) -> None:
    assert store.blends() == (PRESET,)
    assert store.is_preset("calm")
    assert not store._path.parent.exists()


def test_an_acknowledged_blend_is_visible_to_every_other_reader(store: BlendStore) -> None:
    blend = Blend(
        "mine",
        parse_recipe("af_bella+bf_emma"),
        "en_GB",
        "Ü: # 'x'",
        spherical=True,
        normalized=False,
        title="Für mich: # 'x'",
    )
    assert store.add(blend) == blend
    assert BlendStore(store._path.parent).find("MINE") == blend
    assert names(store) == ["calm", "mine"]


def test_blends_can_be_replaced_renamed_duplicated_and_removed(store: BlendStore) -> None:
    old, new = make_blend("one"), make_blend("one", "af_sky")
    store.add(old)
    store.replace(new, expected=old)
    store.add(make_blend("user", "one+af_bella"))
    store.rename("one", "two")
    assert store.find("user").recipe == parse_recipe("two+af_bella")
    store.duplicate("two", "three")
    assert store.find("three").recipe == parse_recipe("af_sky")
    store.remove("user")
    store.remove("two")
    assert names(store) == ["calm", "three"]


def test_a_conflicting_concurrent_edit_is_rejected(store: BlendStore) -> None:
    seen = store.add(make_blend("one"))
    store.replace(make_blend("one", "af_sky"), expected=seen)
    with pytest.raises(BadRequest, match="changed meanwhile: it is af_sky now"):
        store.replace(make_blend("one", "bf_emma"), expected=seen)
    assert store.find("one").recipe == parse_recipe("af_sky")


def test_presets_are_read_only_but_can_be_copied_and_overridden(store: BlendStore) -> None:
    for change in (lambda: store.remove("calm"), lambda: store.rename("calm", "x")):
        with pytest.raises(BadRequest, match="is a preset"):
            change()
    assert store.duplicate("calm", "my_calm").recipe == PRESET.recipe
    store.replace(make_blend("calm", "af_sky"), expected=PRESET)
    assert not store.is_preset("calm")
    store.remove("calm")
    assert store.find("calm") == PRESET


@pytest.mark.parametrize("name", ["af_bella", "AF_Bella", "taken", "TAKEN"])
def test_a_blend_name_already_in_use_is_rejected(store: BlendStore, name: str) -> None:
    store.add(make_blend("taken"))
    with pytest.raises(BadRequest, match="is taken by the voice"):
        store.add(make_blend(name))


def test_an_edit_that_would_orphan_or_make_a_blend_cyclic_is_rejected(store: BlendStore) -> None:
    one = store.add(make_blend("one"))
    store.add(make_blend("two", "one+af_sky"))
    before = store._path.read_bytes()
    with pytest.raises(BadRequest, match="part of two"):
        store.remove("one")
    with pytest.raises(BadRequest, match="contain itself: one → two → one"):
        store.replace(make_blend("one", "two+af_sky"), expected=one)
    with pytest.raises(UnknownVoice, match="Did you mean af_bella"):
        store.add(make_blend("three", "af_bela"))
    with pytest.raises(UnknownVoice, match="no blend 'nobody'"):
        store.remove("nobody")
    assert store._path.read_bytes() == before


def test_a_blend_across_languages_must_name_its_language(store: BlendStore) -> None:
    across = make_blend("across", "af_bella+bf_emma")
    with pytest.raises(BadRequest, match="several languages"):
        store.add(across)
    store.add(replace(across, language="en_US"))


@pytest.mark.parametrize(
    ("content", "expected_message"),
    [
        (
            "blends:\n  a: {recipe: af_sky}\n  b: {recipe: [}\n",
            "line 3: this is no YAML",
        ),
        ("blends:\n  a:\n    recipe: af_sky+\n", "line 3: The recipe has the end"),
        ("blends:\n  a: {recipe: x}\n  a: {recipe: y}\n", "line 3: got 'a' twice, it is in line 2 already"),
        ("blends:\n  a: {recipe: b}\n  b: {recipe: a}\n", "contain itself"),
        (
            "blends:\n  a: {receipt: x}\n",
            "line 2: got the key 'receipt', expected recipe, title, language.*did you mean 'recipe'",
        ),
        ("blends:\n  a:\n", "line 2: got no 'recipe', expected a recipe such as"),
        ("blends:\n  a: {recipe: x, spherical: maybe}\n", "line 2: got 'maybe'"),
        ("blends:\n- a\n", "line 2: got a list for 'blends', expected a mapping of names"),
        ("voices: {}\n", "line 1: got the key 'voices', expected blends"),
        (
            "blends: {a: !!python/object/apply:os.system {recipe: [x]}}",
            "line 1: got the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("\0", "line 1: got the character U.0000"),
        ("[" * 900_000, "line 1: got more than 10 levels of nesting"),
        ("blends: " + "{a: " * 200_000, "line 1: got more than 10 levels of nesting"),
        ("#" * 1_000_001, "line 1: got more than 1,000,000 bytes"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_corrupt_file_is_preserved_and_the_backup_is_used(
    store: BlendStore, caplog: pytest.LogCaptureFixture, content: str, expected_message: str
) -> None:
    store.add(make_blend("first"))
    store.add(make_blend("second"))
    store._path.write_text(content)
    with caplog.at_level(logging.ERROR):
        assert names(store) == names(store) == ["calm", "first", "second"]
    (complaint,) = caplog.messages
    assert str(store._path) in complaint
    assert re.search(expected_message, complaint), complaint
    assert store._path.read_text() == content
    store.add(make_blend("third"))
    (kept,) = store._path.parent.glob("blends.yaml.broken-*")
    assert kept.read_text() == content
    assert names(store) == ["calm", "first", "second", "third"]


def test_two_corrupt_files_of_the_same_second_are_both_preserved(tmp_path: Path) -> None:
    store = BlendStore(tmp_path, clock=lambda: 0.0)
    for number in range(3):
        store._path.write_text(f"[{number}")
        store.add(make_blend(f"b{number}"))
    kept = sorted(tmp_path.glob("*.broken-19700101T000000Z*"))
    assert [path.read_text() for path in kept] == ["[0", "[1", "[2"]
    assert names(store) == ["b0", "b1", "b2"]


def test_a_hand_written_file_may_define_a_blend_by_its_recipe_alone(tmp_path: Path) -> None:
    (tmp_path / "blends.yaml").write_text("blends:\n  mine: 60*af_bella + 40*af_sky\n  no: af_sky\n")
    assert names(BlendStore(tmp_path)) == ["mine", "no"]


BY_HAND = """\
# Mine.
blends:
  # The first.
  zoe: 60*af_bella + 40*af_sky  # by ear
  # The second.
  ann:
    recipe: 'af_sky'
    description: no
  # Made of the first.
  both: {recipe: zoe+ann, spherical: false}
# That is all.
"""


def test_hand_written_entries_are_preserved_when_another_blend_changes(store: BlendStore) -> None:
    store._path.parent.mkdir()
    store._path.write_text(BY_HAND)
    store.add(Blend("new", parse_recipe("af_bella"), description="true", spherical=True))
    new = "  new:\n    recipe: af_bella\n    description: true\n    spherical: true\n"
    with_new = BY_HAND.replace("# That is", f"{new}# That is")
    assert store._path.read_text() == with_new
    assert store.find("new").description == "true"
    store.replace(replace(store.find("ann"), description="Yes."), expected=store.find("ann"))
    store.replace(replace(store.find("zoe"), spherical=True), expected=store.find("zoe"))
    changed = with_new.replace("description: no", "description: Yes.").replace(
        "  zoe: 60*af_bella + 40*af_sky  # by ear\n",
        "  zoe: # by ear\n    recipe: 60*af_bella + 40*af_sky\n    spherical: true\n",
    )
    assert store._path.read_text() == changed
    store.remove("new")
    assert store._path.read_text().count("#") == BY_HAND.count("#")
    assert "new" not in store._path.read_text()


def test_renaming_a_blend_keeps_its_position_and_the_comments(store: BlendStore) -> None:
    store._path.parent.mkdir()
    store._path.write_text(BY_HAND)
    store.rename("ann", "eva")
    assert store._path.read_text() == BY_HAND.replace("  ann:", "  eva:").replace("zoe+ann", "eva+zoe")


def test_a_new_name_has_its_own_title_and_keeps_the_description(store: BlendStore) -> None:
    store.add(replace(make_blend("Kuechenstimme"), title="Küchenstimme", description="Klar."))
    store.add(replace(make_blend("Flur"), description="flur"))  # the title, as former versions stored it
    store.rename("Kuechenstimme", "Guete", "Güte")
    store.rename("Flur", "Tuer", "Tür")
    store.duplicate("Guete", "copy")
    kept = {blend.name: (blend.shown_title, blend.description) for blend in store.blends()}
    assert kept["Guete"] == ("Güte", "Klar.")
    assert kept["Tuer"] == ("Tür", "")
    assert kept["copy"] == ("", "Klar.")


def test_a_renamed_blend_is_written_as_it_was_but_for_its_title(store: BlendStore) -> None:
    by_hand = (
        "# Mine.\nblends:\n  # for guests\n  old: # loud\n    # by ear\n"
        "    recipe: 60*af_bella + 40*af_sky # warm\n"
        "    title: Öld # as it was called\n    # below it\n  other: af_sky\n# end\n"
    )
    store._path.parent.mkdir()
    store._path.write_text(by_hand)
    store.rename("old", "new", "Nëw")
    assert store._path.read_text() == by_hand.replace("old:", "new:").replace("Öld", "Nëw")
    store.rename("other", "else", "Élse")
    assert "  else:\n    recipe: af_sky\n    title: Élse\n# end\n" in store._path.read_text()
    assert store._path.read_text().count("#") == by_hand.count("#")


def test_a_file_never_edited_by_hand_is_sorted(store: BlendStore) -> None:
    for name in ("b", "c", "a"):
        store.add(make_blend(name))
    assert [*parse_blends(store._path.read_bytes())] == ["a", "b", "c"]


def test_a_file_that_cannot_be_edited_in_place_is_rewritten(
    store: BlendStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise NotEditable("blends.yaml cannot be changed in place: so it is")

    monkeypatch.setattr(blend_yaml, "edit_yaml", refuse)
    store._path.parent.mkdir()
    store._path.write_text(BY_HAND)
    before = store.load().blends
    store.add(make_blend("new"))
    assert store.load().blends == {**before, "new": make_blend("new")}
    assert "so it is: it is rewritten without its comments." in caplog.text


def test_a_full_disk_leaves_the_file_unchanged(store: BlendStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(make_blend("one"))
    before = {path.name: path.read_bytes() for path in store._path.parent.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VoiceUnavailable, match="No space left on device"):
        store.add(make_blend("two"))
    assert {path.name: path.read_bytes() for path in store._path.parent.iterdir()} == before


def test_a_write_by_a_program_that_ignores_the_lock_is_not_lost(
    store: BlendStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(make_blend("one"))
    by_hand = "blends: {by_hand: {recipe: af_sky}}\n"
    synced = blend_store._write_synced

    def meanwhile(descriptor: int, content: bytes) -> None:
        store._path.write_text(by_hand)
        synced(descriptor, content)

    monkeypatch.setattr(blend_store, "_write_synced", meanwhile)
    with pytest.raises(BadRequest, match="changed by another program"):
        store.add(make_blend("two"))
    assert store._path.read_text() == by_hand


def test_waiting_for_a_lock_that_is_never_released_times_out(
    store: BlendStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(make_blend("one"))
    monkeypatch.setattr(blend_store, "_LOCK_PATIENCE", 0.02)
    lock = store._path.with_suffix(".yaml.lock")
    with blend_store.hold_lock(lock), pytest.raises(Busy, match="Another program holds"):
        store.add(make_blend("two"))
    store.add(make_blend("two"))


def test_a_write_is_fsynced_before_the_rename(store: BlendStore, monkeypatch: pytest.MonkeyPatch) -> None:
    operations: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        operations.append("sync")
        fsync(descriptor)

    def recording_rename(path: Path, target: Path) -> Path:
        operations.append(f"rename {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_rename)
    store.add(make_blend("one"))
    assert operations == ["sync", "sync", "rename blends.yaml", "rename blends.yaml.bak", "sync"]


@given(st.lists(st.tuples(recipes(), st.booleans(), st.text(max_size=200)), max_size=5))
def test_a_written_blend_reads_back_equal(entries: list[tuple[object, bool, str]]) -> None:
    blends = {}
    for number, (recipe, flag, text) in enumerate(entries):
        description = text if text.isprintable() else ""
        spherical = flag and all(part.weight > 0 for part in recipe.parts)  # type: ignore[attr-defined]
        if len(str(recipe)) > 1000:
            continue
        blends[f"b{number}"] = Blend(
            f"b{number}",
            recipe,  # type: ignore[arg-type]
            "en_US" if flag else None,
            description,
            spherical=spherical,
            normalized=not flag,
        )
    assert parse_blends(format_blends(blends)) == blends


def test_the_presets_use_catalogue_voices_in_canonical_form() -> None:
    directory = data_directory()
    voices = {voice.name: voice.language for voice in read_kokoro_catalogue(directory / "kokoro.yaml")}
    presets = load_presets(directory)
    book = BlendSet.of(presets)
    text = (directory / "blends.yaml").read_text()
    assert len(presets) >= 5
    for preset in presets:
        assert book.language(preset, voices).is_certain
        assert preset.name not in voices
        assert f"recipe: {preset.recipe}\n" in text
        assert preset.description.endswith(".")


WRITER = """
import sys
from pathlib import Path
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe

store = BlendStore(Path(sys.argv[1]))
for number in range(150):
    name = f"{sys.argv[2]}_{number}"
    store.add(Blend(name, parse_recipe("af_bella+af_sky")))
    print(name, flush=True)
"""


class _Writer(threading.Thread):
    """Adds and removes its own blends; `kept` are those acknowledged and not removed."""

    def __init__(self, directory: Path, name: str, stop: threading.Event) -> None:
        super().__init__(name=name)
        self._store = BlendStore(directory)
        self._stop_wanted = stop
        self.kept: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(10_000):
                if self._stop_wanted.is_set():
                    return
                self.kept.append(self._store.add(make_blend(f"{self.name}_{number}")).name)
                if number % 3 == 2:
                    self._store.remove(self.kept[-2])
                    del self.kept[-2]
        except BaseException as error:  # noqa: BLE001  # reported by the test
            self.error = error


def _read_repeatedly(path: Path, reads: int) -> list[int]:
    """Number of blends found by each of `reads` consecutive reads."""
    return [len(parse_blends(path.read_bytes())) for _ in range(reads)]


@pytest.mark.slow
def test_concurrent_writers_lose_no_acknowledged_blend_even_when_one_process_is_killed(
    tmp_path: Path,
) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, f"p{number}"], stdout=subprocess.PIPE)
        for number in range(3)
    ]
    assert processes[0].stdout is not None
    first = processes[0].stdout.readline().decode()
    stop = threading.Event()
    threads = [_Writer(tmp_path, f"t{number}", stop) for number in range(8)]
    for thread in threads:
        thread.start()
    assert all(count > 0 for count in _read_repeatedly(tmp_path / "blends.yaml", 12))
    processes[0].kill()
    assert all(count > 0 for count in _read_repeatedly(tmp_path / "blends.yaml", 12))
    stop.set()
    for thread in threads:
        thread.join()
    for process in processes[1:]:
        process.kill()
    acknowledged = {first.strip()}
    for process in processes:
        acknowledged |= {line.decode().strip() for line in process.communicate()[0].splitlines(keepends=True)}
    assert [thread.error for thread in threads] == [None] * len(threads)
    acknowledged |= {name for thread in threads for name in thread.kept}
    there = set(parse_blends((tmp_path / "blends.yaml").read_bytes()))
    assert acknowledged <= there
    # Beyond those, at most the write in progress of each killed process.
    assert len(there - acknowledged) <= len(processes)
    assert len(acknowledged) > len(threads)


def test_blends_stay_and_are_not_overwritten_while_the_directory_is_away(
    store: BlendStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(make_blend("mine"))
    directory = store._path.parent
    store._known.names(directory)
    assert names(store) == ["calm", "mine"]
    share = directory.rename(directory.with_name("unmounted"))
    directory.mkdir()
    for _ in range(3):
        assert names(store) == ["calm", "mine"]
    assert caplog.text.count("The previous blends stay in use.") == 1
    with pytest.raises(VoiceUnavailable, match="gone or empty"):
        store.add(make_blend("another"))
    assert not list(directory.iterdir())
    directory.rmdir()
    share.rename(directory)
    store.add(make_blend("another"))
    assert names(store) == ["another", "calm", "mine"]


def test_blends_stay_while_the_file_cannot_be_read(
    store: BlendStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, _limit: int) -> bytes:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    store.add(make_blend("mine"))
    assert names(store) == ["calm", "mine"]
    monkeypatch.setattr("wyoming_tts.voices.blends.store.read_regular_file", fail)
    assert names(store) == ["calm", "mine"]
    with pytest.raises(VoiceUnavailable, match="cannot be read"):
        store.add(make_blend("another"))


def test_blends_stay_while_a_pipe_lies_in_place_of_the_file(store: BlendStore, tmp_path: Path) -> None:
    store.add(make_blend("mine"))
    assert names(store) == ["calm", "mine"]
    path = tmp_path / "data" / "blends.yaml"
    path.unlink()
    os.mkfifo(path)
    assert names(store) == ["calm", "mine"]
    with pytest.raises(VoiceUnavailable, match="it is not a regular file"):
        store.add(make_blend("another"))
    path.unlink()
    lock = path.with_name("blends.yaml.lock")
    lock.unlink()
    os.mkfifo(lock)
    with pytest.raises(VoiceUnavailable, match="cannot be stored"):
        store.add(make_blend("another"))
