"""The Model Context Protocol: the index as a tool of language models."""

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field
from starlette.routing import BaseRoute

from embedlab import __version__
from embedlab.errors import explained
from embedlab.serve.bodies import FoundDocument
from embedlab.serve.guard import MOST_BYTES
from embedlab.serve.served_index import K, ServedIndex
from embedlab.serve.shared_passes import Refusal
from retrievers.where import HELP

PATH = "/mcp"


def mcp_server(index: ServedIndex) -> MCPServer[None]:
    """A server with the tool `search`."""
    count = len(index.retriever.ids)
    server: MCPServer[None] = MCPServer(
        f"embedlab: {index.name}",
        version=__version__,
        instructions=f"Searches the {count} documents of the index {index.name}.",
        log_level="ERROR",
    )

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    async def search(
        query: Annotated[str, Field(description="What to search for.")],
        k: Annotated[int, Field(description=f"Documents to give, at most {index.max_k}.")] = K,
        where: Annotated[str, Field(description=f"{HELP} {index.fields_said}")] = "",
    ) -> list[FoundDocument]:
        """Search the index; gives documents with their scores, best first."""
        try:
            found = await index.search(query, k, where)
        except Exception as error:
            known = (str(error), "") if isinstance(error, Refusal) else explained(error)
            if known is None:
                raise
            raise ToolError(known[0]) from error
        return [FoundDocument(**document) for document in found]

    return server


def over_http(server: MCPServer[None]) -> list[BaseRoute]:
    """The routes of the protocol's streamable HTTP, without sessions: each request stands alone.

    Hosts, origins and tokens are checked before, for all paths alike (`guard`).
    """
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_BYTES,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return list(app.routes)
