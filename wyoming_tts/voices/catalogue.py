"""Voice catalogue: the voices that can be downloaded, with the URL, size and digest of each file.

It is read from YAML data files, one for each engine; a newer index of the Piper voices that the user
downloaded overrides them. Nothing here opens a socket or knows what is installed.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.known_files import ABSENT
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.speech import MAX_SPEAKERS

_LOGGER = logging.getLogger(__name__)

PIPER_BASE_URL = "https://huggingface.co/rhasspy/piper-voices/resolve/main/"
BLENDING_ENGINE = "kokoro"
"""The engine whose voices can be blended: each of them is a style table of one pack."""
INDEX_NAME = "voices.json"
"""Upstream's index of the Piper voices: its file name there and in the download directory."""
KOKORO_MODELS = ("fp32", "fp16", "int8")
"""The exports of Kokoro's model by precision; a voice needs one of them."""
DEFAULT_KOKORO_MODEL = "fp32"
"""The reference; fp16 needs half the memory, int8 a third, but neither is faster on every CPU."""

PIPER_SAMPLE_RATES: Final = MappingProxyType(
    {"x_low": 16_000, "low": 16_000, "medium": 22_050, "high": 22_050}
)
"""Hertz by quality, as upstream defines its levels; an entry may override it."""

_QUALITY_RANKS: Final = MappingProxyType(
    {"high": 0, "medium": 1, "low": 2, "x_low": 3, "A": 0, "B": 1, "C": 2, "D": 3, "F": 4}
)
"""Piper's levels, and upstream's estimates of Kokoro's voices without their plus or minus; 0 is the best."""
UNKNOWN_QUALITY_RANK: Final = 1
"""That of a voice of the user's own, which is there for a reason."""

_DIGEST = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")
_MODEL_CARD = "MODEL_CARD"
_MAX_INDEX_BYTES = 20_000_000
"""Upstream's index has 0.4 MB."""


class CatalogueError(Exception):
    """A catalogue cannot be read; the message names the file and the entry."""


class Gender(StrEnum):
    """Gender of a voice's sound."""

    FEMALE = "female"
    MALE = "male"


class Pronunciation(StrEnum):
    """Quality of the phonemes for a voice's language with the phonemizer that is installed by default."""

    POOR = "poor"
    """Upstream trained it with another phonemizer than espeak-ng; the extra `misaki` installs it."""


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A file of a voice: its URL, size and digest."""

    path: str
    """Relative to upstream's repository, `/` between folders."""
    url: str
    size: int | None = None
    """Bytes; None if upstream does not state it."""
    digest: str | None = None
    """`md5:…` or `sha256:…` in lower-case hexadecimal; None if upstream does not state it."""

    def __post_init__(self) -> None:
        if self.name in {"", ".."} or "\\" in self.name or "\0" in self.name:
            raise ValueError(f"{self.path!r} does not name a file")
        if self.size is not None and self.size <= 0:
            raise ValueError(f"the size of {self.path} is {self.size}, expected a number of bytes")
        if self.digest is not None and not _DIGEST.fullmatch(self.digest):
            raise ValueError(f"the digest of {self.path} is {self.digest!r}, expected md5:… or sha256:…")

    @property
    def name(self) -> str:
        """File name on disk: the download directory is flat, as wyoming-piper's is."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class CatalogueVoice:
    """A voice that can be downloaded."""

    name: str
    engine: str
    """Name of its engine: `piper`, `kokoro`."""
    language: str
    """Language tag as its engine publishes it: `en_US`."""
    quality: str
    """Piper's level from `x_low` to `high`; for Kokoro the model's precision."""
    speakers: int
    files: tuple[CatalogueFile, ...]
    """The model first: the voice exists once that file does."""
    aliases: tuple[str, ...] = ()
    gender: Gender | None = None
    """None if it is not known, and of several speakers."""
    grade: str | None = None
    """Upstream's estimate of the training data, `A` to `F`; None without one."""
    sample_rate: int | None = None
    """Hertz; None if upstream does not state it."""
    licence: str | None = None
    """A name or an address, as in upstream's model card; None if that was not read or states none."""
    pronunciation: Pronunciation | None = None
    """None if no problem is known."""
    is_recommended: bool = False
    """Whether it is the one to begin with, of all of its language."""

    @property
    def quality_rank(self) -> int:
        """0 for those that sound best; of Kokoro's voices, which share one model, their grades tell."""
        return _QUALITY_RANKS.get((self.grade or self.quality).rstrip("+-"), UNKNOWN_QUALITY_RANK)

    @property
    def size(self) -> int | None:
        """Bytes of all files; None while one of them is unknown."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All voices that can be downloaded, sorted by name within each engine."""

    voices: tuple[CatalogueVoice, ...]


class CurrentCatalogue:
    """The catalogue of a running server, read again when a newer index of the Piper voices was downloaded."""

    def __init__(self, index: Path, run_blocking: RunBlocking) -> None:
        """Start with an empty catalogue; `read` fills it.

        Args:
            index: Path of a newer index of the Piper voices, which need not exist.
            run_blocking: Reads the files away from the event loop.
        """
        self._index = index
        self._run_blocking = run_blocking
        self.current = Catalogue(())

    async def read(self) -> None:
        """Read the catalogue again."""
        self.current = await self._run_blocking(partial(load_catalogue, self._index))

    def blendable_languages(self) -> dict[str, str]:
        """Return the language tags of the voices that can be blended, by name."""
        blending = (voice for voice in self.current.voices if voice.engine == BLENDING_ENGINE)
        return {voice.name: voice.language for voice in blending}


def data_directory() -> Path:
    """The directory of the data files: in the installed package, else in the checkout around it.

    Raises:
        CatalogueError: they are in neither place.
    """
    places = (Path(__file__).with_name("data"), Path(__file__).parents[2] / "voices")
    for place in places:
        if (place / "piper.yaml").is_file():
            return place
    raise CatalogueError(
        f"The voice catalogue piper.yaml is neither in {places[0]} nor in {places[1]}: install again."
    )


def load_catalogue(extra_index: Path | None = None, *, kokoro_model: str = DEFAULT_KOKORO_MODEL) -> Catalogue:
    """Read the product's own catalogue, overridden by a newer Piper index. Blocks.

    Args:
        extra_index: Path of upstream's `voices.json`. A missing file is ignored, a malformed one is
            ignored with a warning.
        kokoro_model: The export of the Kokoro model that its voices are to use.

    Raises:
        CatalogueError: a data file of the product itself is missing or malformed.
        ValueError: there is no such Kokoro export.
    """
    directory = data_directory()
    piper = {voice.name: voice for voice in read_piper_catalogue(directory / "piper.yaml")}
    piper |= {
        voice.name: carry_over_card_facts(voice, piper.get(voice.name))
        for voice in _read_extra_index(extra_index)
    }
    facts = _read_piper_facts(directory / "piper_facts.yaml")
    known = sorted(map(facts.complete, piper.values()), key=lambda voice: voice.name)
    kokoro = read_kokoro_catalogue(directory / "kokoro.yaml", kokoro_model)
    return Catalogue(_with_recommended((*known, *kokoro), facts.recommended))


def other_model_exports(voice: CatalogueVoice) -> tuple[CatalogueVoice, ...]:
    """The same voice with each export of its model, if it is one of Kokoro's. Blocks.

    Raises:
        CatalogueError: the product's own catalogue is missing or malformed.
    """
    return tuple(
        replace(voice, files=export.files, quality=export.quality)
        for export in _one_voice_per_export()
        if export.engine == voice.engine and export.files[1:] == voice.files[1:]
    )


def expected_files(known: Iterable[CatalogueVoice]) -> Mapping[str, CatalogueFile]:
    """Size and digest of each file by its name on disk, including Kokoro's other exports. Blocks.

    Raises:
        CatalogueError: the product's own catalogue is missing or malformed.
    """
    voices = [*known, *_one_voice_per_export()]
    return {file.name: file for voice in voices for file in voice.files}


def _one_voice_per_export() -> Iterator[CatalogueVoice]:
    for model in KOKORO_MODELS:
        yield from read_kokoro_catalogue(data_directory() / "kokoro.yaml", model)[:1]


def _read_extra_index(extra_index: Path | None) -> tuple[CatalogueVoice, ...]:
    if extra_index is None:
        return ()
    try:
        return read_piper_index(extra_index)
    except CatalogueError as error:
        if isinstance(error.__cause__, ABSENT):
            return ()
        _LOGGER.warning("%s It is ignored: download it again with --update-voices, or delete it.", error)
        return ()


def carry_over_card_facts(voice: CatalogueVoice, previous: CatalogueVoice | None) -> CatalogueVoice:
    """Take over the facts of the model card, which upstream's index lacks, from the previous entry."""
    if previous is None:
        return voice
    rate = previous.sample_rate if previous.quality == voice.quality else voice.sample_rate
    return replace(voice, sample_rate=rate, licence=previous.licence)


def read_piper_index(path: Path) -> tuple[CatalogueVoice, ...]:
    """Read the voices of upstream's `voices.json`, sorted by name. Blocks.

    Raises:
        CatalogueError: it cannot be read, or an entry is incomplete or malformed.
    """
    try:
        entries = json.loads(_read_bounded(path))
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogueError(f"{path} cannot be read as JSON: {error}.") from error
    return _voices(path, entries, _from_index)


def _read_bounded(path: Path) -> bytes:
    content = read_regular_file(path, _MAX_INDEX_BYTES)
    if len(content) > _MAX_INDEX_BYTES:
        raise ValueError(f"it is larger than {_MAX_INDEX_BYTES} bytes")
    return content


def read_piper_catalogue(path: Path) -> tuple[CatalogueVoice, ...]:
    """Read the voices of `piper.yaml`, sorted by name. Blocks.

    Raises:
        CatalogueError: it cannot be read, or an entry is incomplete or malformed.
    """
    facts = _read_yaml(path)
    base = str(facts.get("base_url", PIPER_BASE_URL))
    return _voices(path, facts.get("voices"), lambda name, entry: _from_piper_yaml(base, name, entry))


@dataclass(frozen=True, slots=True)
class _PiperFacts:
    """What upstream's index does not tell of Piper's voices."""

    genders: Mapping[str, Gender]
    """Of single-speaker voices, by name without the quality."""
    recommended: frozenset[str]

    def complete(self, voice: CatalogueVoice) -> CatalogueVoice:
        gender = self.genders.get(voice.name.removesuffix(f"-{voice.quality}"))
        return replace(voice, gender=gender) if voice.speakers == 1 else voice


def _read_piper_facts(path: Path) -> _PiperFacts:
    facts = _read_yaml(path)
    try:
        by_gender = dict(facts.get("gender") or {})
        genders = {name: Gender(gender) for gender, names in by_gender.items() for name in names}
        return _PiperFacts(genders, frozenset(facts.get("recommended") or ()))
    except (TypeError, ValueError) as error:
        raise CatalogueError(f"{path} is malformed: {error!r}.") from error


def _with_recommended(
    voices: tuple[CatalogueVoice, ...], chosen: frozenset[str]
) -> tuple[CatalogueVoice, ...]:
    """Mark one voice of each language: the one that was chosen by hand, else the best one to begin with."""

    def rank(voice: CatalogueVoice) -> tuple[bool, bool, bool, int]:
        is_demanding = voice.engine == BLENDING_ENGINE or voice.quality == "high"
        return voice.name not in chosen, voice.speakers > 1, is_demanding, voice.quality_rank

    first: dict[str, CatalogueVoice] = {}
    for voice in sorted(voices, key=rank):
        first.setdefault(voice.language, voice)
    return tuple(replace(voice, is_recommended=first[voice.language] is voice) for voice in voices)


def read_kokoro_catalogue(path: Path, model: str = DEFAULT_KOKORO_MODEL) -> tuple[CatalogueVoice, ...]:
    """Read the voices of `kokoro.yaml`, sorted by name; all share a model and a pack of style tables. Blocks.

    Raises:
        CatalogueError: it cannot be read, or an entry is incomplete or malformed.
        ValueError: it has no export of that name.
    """
    facts = _read_yaml(path)
    try:
        models = {name: _from_triple(facts["base_url"], triple) for name, triple in facts["models"].items()}
        pack = _from_triple(facts["base_url"], facts["pack"])
        rate, licence = facts.get("sample_rate"), facts.get("licence")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(f"{path}: the model files are malformed: {error!r}.") from error
    if model not in models:
        raise ValueError(f"There is no Kokoro model {model!r}; there are {', '.join(models)}.")
    files = (models[model], pack)

    def voice(name: str, entry: Any) -> CatalogueVoice:
        poor = entry.get("pronunciation")
        return CatalogueVoice(
            name,
            BLENDING_ENGINE,
            entry["language"],
            model,
            1,
            files,
            gender=Gender(entry["gender"]),
            grade=entry.get("grade"),
            sample_rate=rate,
            licence=licence,
            pronunciation=Pronunciation(poor) if poor else None,
        )

    return _voices(path, facts.get("voices"), voice)


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415  # importing this module stays light for those who need its types only

    try:
        facts = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path} cannot be read as YAML: {error}.") from error
    if not isinstance(facts, dict):
        raise CatalogueError(f"{path} holds {type(facts).__name__}, expected a mapping.")
    return facts


def _voices(
    path: Path, entries: object, make: Callable[[str, Any], CatalogueVoice]
) -> tuple[CatalogueVoice, ...]:
    if not isinstance(entries, dict):
        raise CatalogueError(f"{path} holds {type(entries).__name__}, expected voices by name.")
    return tuple(_voice(path, str(name), entry, make) for name, entry in sorted(entries.items()))


def _voice(
    path: Path, name: str, entry: object, make: Callable[[str, Any], CatalogueVoice]
) -> CatalogueVoice:
    try:
        return make(name, entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(f"{path}: the voice {name} is malformed: {error!r}.") from error


def _from_index(name: str, entry: Any) -> CatalogueVoice:
    triples = [
        (path, facts["size_bytes"], f"md5:{facts['md5_digest']}") for path, facts in entry["files"].items()
    ]
    return _piper_voice(
        name,
        (_from_triple(PIPER_BASE_URL, triple) for triple in triples),
        language=entry["language"]["code"],
        quality=entry["quality"],
        speakers=entry["num_speakers"],
        aliases=entry.get("aliases", ()),
    )


def _from_piper_yaml(base: str, name: str, entry: Any) -> CatalogueVoice:
    voice = _piper_voice(
        name,
        (_from_triple(base, (path, *facts)) for path, facts in entry["files"].items()),
        language=entry["language"],
        quality=entry["quality"],
        speakers=entry["speakers"],
        aliases=entry.get("aliases", ()),
    )
    rate = entry.get("sample_rate", voice.sample_rate)
    return replace(voice, sample_rate=rate, licence=entry.get("licence"))


def _from_triple(base: str, triple: Iterable[Any]) -> CatalogueFile:
    path, size, digest = triple
    return CatalogueFile(path, base + quote(path), size, digest)


def _piper_voice(
    name: str,
    files: Iterable[CatalogueFile],
    *,
    language: str,
    quality: str,
    speakers: int,
    aliases: Iterable[str],
) -> CatalogueVoice:
    model, config = f"{name}.onnx", f"{name}.onnx.json"
    kept = {file.name: file for file in files if file.name != _MODEL_CARD}
    if not kept.keys() >= {model, config}:
        raise ValueError(f"its files are {', '.join(kept)}, expected {model} and {config}")
    if speakers not in range(MAX_SPEAKERS + 1):
        raise ValueError(f"it has {speakers!r:.40} speakers, expected at most {MAX_SPEAKERS}")
    ordered = sorted(kept.values(), key=lambda file: (file.name != model, file.path))
    rate = PIPER_SAMPLE_RATES.get(quality)
    return CatalogueVoice(
        name, "piper", language, quality, speakers, tuple(ordered), tuple(aliases), sample_rate=rate
    )
