"""Which images there are: the lock, what `unsmooth images` says of it, and that the recipes pin the same versions."""

import re
import shlex
from pathlib import Path

import pytest

from suite import building, images
from suite.building import Recipe
from suite.doctor import read_pins
from suite.errors import ImageError, UsageError
from suite.images import Image
from tests.suite.command import Command

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
IMAGE = Image(reference="unsmooth-graph", digest="sha256:5", base="debian", code="0", git="a1", built="2026-11-26")

BUILDER = """#!/bin/sh
if [ "$1" = build ]; then echo "$@" >> {log}; exit {code}; fi
echo sha256:5
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path, tmp_path / "cache")


def engine(folder: Path, code: int = 0) -> Path:
    """A program called docker that notes what it is to build."""
    program = folder / "docker"
    program.write_text(BUILDER.replace("{log}", str(folder / "log")).replace("{code}", str(code)))
    program.chmod(0o755)
    return folder / "log"


def test_what_was_built_is_found_again_by_engine_and_name(tmp_path: Path) -> None:
    images.save("docker", "graph", IMAGE, tmp_path)
    images.save("podman", "language", IMAGE, tmp_path)
    assert images.load("docker", tmp_path) == {"graph": IMAGE}
    assert images.load("podman", tmp_path) == {"language": IMAGE}


def test_a_damaged_lock_says_what_to_do(tmp_path: Path) -> None:
    images.path(tmp_path).write_text("{")
    with pytest.raises(UsageError, match=r"images\.lock and build the images again"):
        images.load("docker", tmp_path)


def test_an_image_of_other_jobs_is_outdated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSMOOTH_IMAGES", str(tmp_path))
    images.save("docker", "graph", IMAGE, tmp_path)
    assert images.outdated("docker", "graph") == (
        "The image graph holds other jobs than this checkout. Build it again with `unsmooth images build graph`."
    )
    assert images.outdated("docker", "language") is None
    assert images.outdated("local", "main") is None


def test_the_base_is_built_first_and_secrets_are_mounted_and_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = engine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://me:geheim@packages\n")
    recipe = Recipe(base="debian@sha256:1", pip_conf=tmp_path / "pip.conf", network="host", where=tmp_path)
    building.build(["graph"], recipe, lambda _: None)
    first, second = log.read_text().splitlines()
    assert first == (
        "build --tag unsmooth-base --file docker/base.Dockerfile --network host"
        f" --secret id=pip,src={tmp_path}/pip.conf --build-arg BASE=debian@sha256:1 ."
    )
    assert "--build-arg BASE=unsmooth-base --build-arg REVISION=" in second
    assert "geheim" not in first + second
    assert images.load("docker", tmp_path)["graph"].code == images.code()


def test_a_build_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, code=1)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ImageError, match=r"docker could not build unsmooth-base \(exit code 1\)"):
        building.build(["graph"], Recipe(where=tmp_path), lambda _: None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("images", "build", "grahp"), "Unknown image 'grahp'. Did you mean 'graph'?"),
        (("images", "list", "--engine", "dokcer"), "Unknown engine 'dokcer'. Did you mean 'docker'?"),
        (("images", "build", "--pip-conf", "none"), "--pip-conf none: there is no such file."),
        (("run", "nano", "--runtime", "dokcer"), "Unknown runtime 'dokcer'. Did you mean 'docker'?"),
        (("run", "nano", "--memory", "4g"), "--memory: the runtime local sets no limits."),
        (("run", "nano", "--runtime", "docker", "--memory", "much"), "'much' is no size."),
        (("run", "nano", "--runtime", "docker", "--select", "graph"), "The image graph has not been built."),
    ],
)
def test_a_wrong_request_is_told_before_anything_starts(
    command: Command, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    command.environment["UNSMOOTH_IMAGES"] = str(tmp_path)
    done = command(*words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_list_says_what_was_not_built(command: Command, tmp_path: Path) -> None:
    command.environment["UNSMOOTH_IMAGES"] = str(tmp_path)
    assert {row["name"]: row["state"] for row in command.json("images", "list")} == dict.fromkeys(
        images.NAMES, "not built"
    )


def test_the_language_image_can_hold_fairseq_and_the_others_in_one_environment() -> None:
    ours, fairseq = read_pins(ROOT / "constraints.txt"), read_pins(ROOT / "docker" / "fairseq.txt")
    assert {name: pin for name, pin in fairseq.items() if ours.get(name, pin) != pin} == {}


def test_every_package_that_a_dockerfile_names_is_pinned() -> None:
    pins = read_pins(ROOT / "constraints.txt")
    for file in DOCKERFILES:
        commands = re.split(r"&&|\n(?=[A-Z])", file.read_text().replace("\\\n", " "))
        parted = [re.split(r"(?:pinned|pip) install ", command, maxsplit=1) for command in commands]
        installs = [parts[1] for parts in parted if len(parts) > 1]
        words = [word for install in installs if "--requirement" not in install for word in shlex.split(install)]
        named = [word.partition("[")[0] for word in words if not word.startswith("--") and not re.search("[=<]", word)]
        assert {name for name in named if name.replace("_", "-") not in pins} == set(), file.name


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_holds_no_more_of_the_checkout_than_its_jobs_and_no_rights(file: Path) -> None:
    text = file.read_text()
    copied = re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)
    of_jobs = {"jobs", "constraints.txt", "docker/pinned", "docker/fairseq.txt"}
    assert set(copied) <= ({"constraints.txt", "docker/tracking.sh"} if file.stem == "tracking" else of_jobs)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "1000"
    assert text.strip().splitlines()[-1].startswith("RUN"), "the last line tries what the image promises"
