"""`embedlab dashboard`: the results in the browser."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._options import Db
from embedlab.terminal import echo

_PACKAGES = Path(__file__).parents[2]


def command(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on this machine.")] = 8501,
    db: Db = None,
    indexes: Annotated[
        Path | None,
        typer.Option(
            help="The folder of saved indexes to search; by default EMBEDLAB_HOME/indexes, and"
            " wherever else indexes were made."
        ),
    ] = None,
) -> None:
    """Open the results in the browser.

    Leaderboard, costs, grids, comparisons, runs, search, what runs now.
    """
    from embedlab import made_indexes
    from embedlab.errors import UserError, missing_extra
    from embedlab.resources import home
    from embedlab.tasks import benchmark_parts, described

    if find_spec("streamlit") is None:
        raise missing_extra("The dashboard", "app")
    if indexes and not indexes.is_dir():
        raise UserError(
            f"There is no folder {indexes}.", "Build an index into it: embedlab index --help"
        )
    if not _is_free(port):
        raise UserError(
            f"Port {port} is in use.",
            f"Type: embedlab dashboard --port {port + 1 if port < 65535 else 8501}",
        )

    benchmarks = benchmark_parts.file()
    settings = {
        "db": str((db or home() / "results.duckdb").resolve()),
        "indexes": str((indexes or home() / "indexes").resolve()),
        "made": "" if indexes else str(made_indexes.register()),
        "benchmarks": str(benchmarks),
        "tasks": str(described.file()),
        "encoders": "embedlab.corpus_index:recorded_encoder",
    }
    echo(f"The dashboard is at http://localhost:{port}. Ctrl-C ends it.", err=True)
    # The packages of this Python, also where embedlab runs
    # from a checkout and the folder is another.
    path = os.pathsep.join(filter(None, (str(_PACKAGES), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "EMBEDLAB_DASHBOARD": json.dumps(settings), "PYTHONPATH": path}
    with subprocess.Popen(serving(port), env=environment) as child:
        # Else the server would outlive this command.
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        try:
            if not benchmarks.is_file():
                # While the pages are served already: importing mteb takes its time.
                benchmark_parts.write(benchmark_parts.ask(), benchmarks)
            refresh_facts(Path(settings["db"]))
            if not described.file().is_file():
                described.write(described.file())
            code = child.wait()
            code = 0 if code == -signal.SIGTERM else code
        except KeyboardInterrupt:
            child.terminate()
            code = 0
    if code:
        raise UserError("The dashboard ended with an error.", "Its messages are above.")


def refresh_facts(db: Path) -> None:
    """Bring what the store knows of its models to this version of mteb, where it can be written."""
    from embedlab.models.facts.refreshing import refresh
    from leaderboard.errors import LeaderboardError
    from leaderboard.storage.store import Store

    with suppress(LeaderboardError):  # of read-only media: the pages show what it knows
        refresh(Store(db))


def serving(port: int) -> list[str]:
    """The command that serves the dashboard. By path and with -P: an app.py of the user's may lie
    where they are.
    """
    page = _PACKAGES / "app" / "__main__.py"
    address = ["--server.port", str(port), "--server.address", "127.0.0.1"]
    return [sys.executable, "-P", str(page), *address]


def _is_free(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
