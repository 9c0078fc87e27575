"""`unsmooth images`: build the images that jobs run in, and say which there are."""

from pathlib import Path
from typing import Annotated

import typer

from suite import building, images
from suite.building import Recipe
from suite.commands import options, output
from suite.errors import UsageError, unknown

app = typer.Typer(help="Build and list the images that jobs run in.", no_args_is_help=True)

Engine = Annotated[str, typer.Option("--engine", help="docker or podman.")]
Where = Annotated[
    Path | None,
    typer.Option("--images", envvar=images.VARIABLE, help="Folder of images.lock. [default: docker/ of the checkout]"),
]


@app.command("build")
def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="[default: all of them]")] = None,
    *,
    base: Annotated[
        str | None, typer.Option("--base", help="Start from this image instead: any Debian or Ubuntu, best by digest.")
    ] = None,
    pip_conf: Annotated[Path | None, typer.Option("--pip-conf", help="Where pip finds packages; not kept.")] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Certificates that pip trusts, in one file; not kept.")
    ] = None,
    network: Annotated[str | None, typer.Option("--network", help="Of the build, such as host.")] = None,
    engine: Engine = images.ENGINES[0],
    where: Where = None,
) -> None:
    """Build images from docker/ and note them in images.lock; what has not changed is not built again."""
    _refuse(engine, names or ())
    recipe = Recipe(engine=engine, base=base, pip_conf=pip_conf, ca=ca, network=network, where=where or images.folder())
    building.build(names or images.NAMES, recipe, output.say)
    output.say(f"Noted in {images.path(recipe.where)}. Next: unsmooth run PLAN --runtime {engine}")


@app.command("list")
def list_(*, engine: Engine = images.ENGINES[0], where: Where = None, json: options.Json = False) -> None:
    """Show each image: whether the engine has it, and whether it holds this checkout's jobs."""
    _refuse(engine, ())
    noted = images.load(engine, where)
    rows = [_row(name, noted.get(name), engine) for name in images.NAMES]
    if json:
        output.document(rows)
        return
    columns = ("name", "state", "digest", "git", "built", "base")
    output.table(columns, [[str(row[key] or "-")[:40] for key in columns] for row in rows])


def _row(name: str, image: images.Image | None, engine: str) -> dict[str, str | None]:
    row = {"name": name, "state": "not built", "digest": None, "git": None, "built": None, "base": None}
    if image is None:
        return row
    there = building.identity(engine, image.digest) is not None
    fresh = "ready" if image.code == images.code() else "outdated: build it again"
    state = fresh if there else f"not in {engine}: build it again"
    return row | {"state": state, "digest": image.digest, "git": image.git, "built": image.built, "base": image.base}


def _refuse(engine: str, names: list[str] | tuple[()]) -> None:
    problems = [unknown("image", name, images.NAMES) for name in names if name not in images.NAMES]
    problems += [unknown("engine", engine, images.ENGINES)] if engine not in images.ENGINES else []
    if problems:
        raise UsageError(problems)
