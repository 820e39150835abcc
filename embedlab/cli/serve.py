"""`embedlab serve`: an index over HTTP and MCP."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from embedlab.cli._groups import with_options
from embedlab.cli._options import NamedModels
from embedlab.errors import UserError
from embedlab.options import LoadingOptions, ServingOptions


@with_options(serving=ServingOptions, loading=LoadingOptions)
def command(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="An index's folder.")],
    model: NamedModels = None,
    *,
    serving: ServingOptions,
    loading: LoadingOptions,
    typed: set[str],
) -> None:
    """Serve an index over HTTP and MCP.

    POST /search, /v1/embeddings, GET /health, /openapi.json; MCP at /mcp, or with --stdio. It
    listens to this machine alone; another --host needs a token in EMBEDLAB_TOKEN.
    """
    from embedlab.errors import missing_extra

    if not all(map(find_spec, ("fastapi", "mcp", "uvicorn"))):
        raise missing_extra("serve", "serve")
    if serving.stdio and (unused := sorted({"host", "port"} & typed)):
        raise UserError(
            f"--{unused[0]} is for HTTP, and --stdio has no address.", "Type one of them."
        )

    from embedlab import corpus_index
    from embedlab.serve import running
    from embedlab.serve.served_index import ServedIndex

    if not serving.stdio:
        token = running.token_for(serving.host)
        listener = running.listening(serving.host, serving.port)
    retriever = corpus_index.load_all([index], named=model or (), **vars(loading))[index]
    served = ServedIndex(
        retriever,
        index.resolve().name,
        batch=serving.batch,
        max_k=serving.max_k,
        seconds=serving.timeout,
    )
    if serving.stdio:
        from embedlab.serve.mcp_search import mcp_server

        mcp_server(served).run("stdio")
    else:
        running.run(served, listener, serving.host, token)
