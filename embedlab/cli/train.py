"""`embedlab train`: a recipe turns a base model into a method."""

import json
from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._json import print_json
from embedlab.cli._options import Device
from embedlab.terminal import echo


def command(
    recipe: Annotated[
        Path, typer.Argument(help="A TOML file, or the name of a shipped recipe (data/recipes/).")
    ],
    base: Annotated[
        str | None, typer.Option(help="Another base: a folder, a hub id, or a shipped checkpoint.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of the result; EMBEDLAB_HOME/trained/NAME by default."),
    ] = None,
    as_it_is: Annotated[
        bool,
        typer.Option(
            "--untrained",
            help="Save the model before its first step, to compare the trained one with.",
        ),
    ] = False,
    device: Device = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The record as JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """Train a model by a recipe.

    A killed run goes on from its last checkpoint: type the same again.
    """
    from embedlab import hub
    from embedlab.errors import training_packages
    from embedlab.resources import home

    hub.settle()
    with training_packages("Training"):
        from embedlab.training.recipe import read
        from embedlab.training.training_run import save_untrained, train

    plan = read(recipe, base)
    target = out or home() / "trained" / (f"{plan.name}-untrained" if as_it_is else plan.name)
    if as_it_is:
        save_untrained(plan, target)
        echo(
            json.dumps({"model": str(target)})
            if as_json
            else f"{plan.name} before training: {target}"
        )
        return
    record = train(plan, target, device=device)
    if as_json:
        print_json({"model": str(target), **record})
    else:
        stages = zip(plan.stages, record["final_loss"], strict=True)
        losses = ", ".join(f"{stage.objective} {loss}" for stage, loss in stages)
        minutes = record["seconds"] / 60
        echo(
            f"{plan.name}: {record['parameters']:,} parameters, {minutes:.1f} minutes; last loss:"
            f" {losses}."
        )
        echo(f"Use it: embedlab eval --model {target} --benchmark stdlib-mini")
