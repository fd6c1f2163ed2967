"""The Dockerfile, its build context, and package stripping. `script/image --try` builds it in minutes."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import pytest

from wyoming_tts.settings import SETTINGS, Settings

ROOT = Path(__file__).parents[2]
SCRIPTS = ("image", "try-image", "tools", "debian-packages")


@pytest.fixture(scope="module")
def image_packages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_packages", ROOT / "script" / "image_packages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def instructions() -> list[str]:
    """The Dockerfile's instructions, one line each."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]


def stage_instructions(name: str) -> list[str]:
    lines = instructions()
    start = next(at for at, line in enumerate(lines) if re.fullmatch(rf"FROM \S+ AS {name}", line))
    after = [at for at, line in enumerate(lines) if line.startswith("FROM") and at > start]
    return lines[start : after[0] if after else None]


def build_inputs() -> set[str]:
    """Paths that the Dockerfile reads from the build context by COPY or a bind mount."""
    found: set[str] = set()
    for line in instructions():
        if line.startswith("COPY ") and "--from=" not in line:
            found.update(line.split()[1:-1])
        found.update(re.findall(r"--mount=type=bind,source=([^, ]+)", line))
    return found


def in_context(path: str) -> bool:
    """Whether a path is part of the build context, by the .dockerignore syntax in use here."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        if pattern.startswith("**/"):
            matches = pattern.removeprefix("**/") in path.split("/")
        else:
            matches = any(fnmatch(each, pattern) for each in _with_parents(path))
        if matches:
            sent = line.startswith("!")
    return sent


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def test_every_build_input_is_in_the_context() -> None:
    inputs = build_inputs()
    assert {"pyproject.toml", "wyoming_tts", "addon"} <= inputs
    assert [path for path in inputs if not (ROOT / path).exists()] == []
    assert [path for path in inputs if not in_context(path)] == []


def test_the_context_contains_only_build_inputs() -> None:
    names = [path.name for path in ROOT.iterdir()]
    sent = {name for name in names if in_context(name)}
    assert sent <= {path.split("/")[0] for path in build_inputs()}
    for excluded in (
        ".git",
        ".env",
        ".venv",
        "tests",
        "build/image/storage",
        "docs/images/a.png",
        "id_rsa",
    ):
        assert not in_context(excluded)
    assert not in_context("wyoming_tts/__pycache__/cli.pyc")
    assert in_context("wyoming_tts/voices/data/piper.yaml")


def test_the_context_is_under_5_megabytes() -> None:
    folders = [path for path in build_inputs() if (ROOT / path).is_dir()]
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    sizes = [file.stat().st_size for file in files if in_context(str(file.relative_to(ROOT)))]
    assert 0 < sum(sizes) < 5_000_000


def test_the_last_stage_is_the_labelled_add_on() -> None:
    (last,) = [line for line in instructions() if line.startswith("FROM")][-1:]
    assert last == "FROM runtime AS addon"
    labels = next(line for line in stage_instructions("addon") if line.startswith("LABEL"))
    for label in (
        'io.hass.version="${BUILD_VERSION}"',
        'io.hass.type="addon"',
        'io.hass.arch="${BUILD_ARCH}"',
    ):
        assert label in labels


def test_the_build_downloads_only_from_the_base_image_and_package_registries() -> None:
    stages = {line.split()[-1] for line in instructions() if line.startswith("FROM")}
    for line in instructions():
        if line.startswith("FROM"):
            source = line.split()[1].replace("${PAGE}", "true")
            assert source == "${BASE}" or source in stages
        assert not re.match(r"ADD ", line)
        assert not re.search(r"\b(curl|wget|git clone)\b", line)
        assert not re.search(r"https?://", line) or line.startswith("LABEL")


def test_the_container_runs_as_non_root_with_init_and_health_check() -> None:
    lines = stage_instructions("container")
    assert "USER 10200:10200" in lines
    assert "VOLUME /data" in lines
    assert 'ENTRYPOINT ["tini", "--", "wyoming-tts"]' in lines
    assert 'CMD ["serve"]' in lines
    (check,) = [line for line in lines if line.startswith("HEALTHCHECK")]
    assert check.endswith('CMD ["wyoming-tts", "health"]')


def test_the_image_sets_known_variables_and_exposes_the_default_ports() -> None:
    variables = {variable for info in SETTINGS for variable in info.variables}
    named = set(re.findall(r"WYOMING_TTS_\w+", "\n".join(instructions())))
    assert "WYOMING_TTS_DATA_DIR" in named
    assert named <= variables
    fields = Settings.model_fields
    ports = f"EXPOSE {fields['port'].default} {fields['http_port'].default}"
    assert [
        line for stage in ("container", "addon") for line in stage_instructions(stage) if "EXPOSE" in line
    ] == [ports] * 2


def test_shipped_stages_contain_no_build_tools() -> None:
    for stage in ("python", "with-packages", "runtime", "container", "addon"):
        for line in stage_instructions(stage):
            assert not re.search(r"\b(pip|binutils|gcc|build-essential)\b", line)


def test_of_gradio_the_image_has_the_pages_files_and_the_licence_alone() -> None:
    assert [line for line in instructions() if "page.txt" in line] == [
        line for line in stage_instructions("page") if "page.txt" in line
    ]
    taken = re.findall(r"site-packages/([\w/.*-]+)", "\n".join(stage_instructions("page")))
    assert set(taken) == {
        "wyoming_tts/page/page.json",
        "gradio-*.dist-info",
        "gradio/templates/frontend/assets",
        "gradio/templates/frontend/static",
    }
    packages = Path(str(distribution("gradio").locate_file("")))
    assert [name for name in taken[1:] if not any(packages.glob(name))] == []
    assert any(packages.glob("gradio-*.dist-info/licenses/LICENSE"))
    from_page = [line for line in instructions() if re.search(r"--from=page |^FROM page ", line)]
    assert from_page == ["COPY --from=page /build/page /opt/wyoming-tts/lib"]


def test_every_exclusion_pattern_matches_installed_files(image_packages: ModuleType) -> None:
    """A stale pattern would leave renamed files in the image unnoticed."""
    packages = Path(str(distribution("numpy").locate_file("")))
    stale = [pattern for pattern in image_packages.NEVER_LOADED if not any(packages.glob(pattern))]
    assert stale == []


def test_stripping_removes_only_unused_files(image_packages: ModuleType, tmp_path: Path) -> None:
    kept_files = [
        "numpy/core.py",
        "numpy/testing/all.py",
        "pygments/lexers/_mapping.py",
        "onnx/backend/base.py",
    ]
    removed_files = [
        *(
            "numpy/tests/test_core.py",
            "numpy/core.pyi",
            "onnx/backend/test/data.pb",
            "gradio/templates/frontend/static/bokeh/a.js",
        ),
        *("pygments/lexers/cobol.py", "pygments/lexers/_lua_builtins.py", "piper/train/__main__.py"),
    ]
    for name in [*kept_files, *removed_files]:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    deleted = image_packages.strip(tmp_path)
    assert {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()} == set(
        kept_files
    )
    assert deleted == sum(len(name) for name in removed_files)
    assert image_packages.strip(tmp_path) == 0


def test_duplicate_files_are_replaced_by_relative_symlinks(
    image_packages: ModuleType, tmp_path: Path
) -> None:
    big, other = b"a" * 10_000, b"b" * 10_000
    contents = {"a/data/x": big, "b/data/x": big, "b/y": big, "a/z": other, "a/small": b"s", "b/small": b"s"}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert image_packages.share(tmp_path) == 2 * len(big)
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
    links = [path for path in tmp_path.rglob("*") if path.is_symlink()]
    assert len(links) == 2
    assert not any(path.readlink().is_absolute() for path in links)
    moved = tmp_path.rename(tmp_path.with_name("elsewhere"))
    assert (moved / "b/data/x").read_bytes() == big


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_are_executable_and_valid_shell(name: str) -> None:
    script = ROOT / "script" / name
    shell = script.read_text("utf-8").splitlines()[0].split("/")[-1].split()[-1]
    run = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert script.stat().st_mode & 0o111
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def test_an_unknown_flag_prints_the_usage() -> None:
    run = subprocess.run([ROOT / "script" / "image", "--wrong"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "Usage: script/image" in run.stderr
