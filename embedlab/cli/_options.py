"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; a GPU where there is one.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]
Db = Annotated[Path | None, typer.Option(help="The results store; EMBEDLAB_HOME/results.duckdb by default.")]
