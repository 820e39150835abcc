"""The tool `search` of the Model Context Protocol, asked by the official client."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.embedlab.serve.conftest import serving

ROOT = Path(__file__).parents[3]


async def called(client, **arguments):
    return await client.call_tool("search", arguments)


def test_over_http(tiny_server):
    from mcp.client import Client

    async def ask():
        async with Client(f"{tiny_server.url}/mcp") as client:
            (tool,) = (await client.list_tools()).tools
            assert tool.name == "search" and tool.annotations.read_only_hint
            found = await called(client, query="w1 w2", k=3)
            assert not found.is_error
            over_http = tiny_server.client.post("/search", json={"query": "w1 w2", "k": 3}).json()
            assert found.structured_content["result"] == over_http["results"]
            filtered = await called(client, query="w1 w2", where="year < 2003")
            years = {row["metadata"]["year"] for row in filtered.structured_content["result"]}
            assert years == {2000, 2001, 2002}
            assert "year (number)" in tool.input_schema["properties"]["where"]["description"]
            for wrong, sentence in (
                ({"query": "w1", "where": "yeer < 1"}, "Did you mean year?"),
                ({"query": "w1", "k": 5000}, "k is 5000, and this server gives 1 to 1000"),
                ({"query": ""}, "The query is empty."),
            ):
                answer = await called(client, **wrong)
                assert answer.is_error and sentence in answer.content[0].text

    asyncio.run(ask())


def test_a_token_is_needed_there_too(dense):
    token = "0123456789abcdef"
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    with serving(dense, token=token) as server:
        bare = server.client.post("/mcp", json=ping, headers={"Authorization": ""})
        assert bare.status_code == 401
        rebound = server.client.post("/mcp", json=ping, headers={"Host": "evil.example"})
        assert rebound.status_code == 421


@pytest.mark.effect("serve --stdio")
def test_over_stdio(build, refused):
    """As the clients start it that have a command in their configuration."""
    index = build("bm25")
    from mcp import StdioServerParameters
    from mcp.client import Client
    from mcp.client.stdio import stdio_client

    words = ["-c", "from embedlab.cli import run; run()", "serve", str(index), "--stdio"]
    place = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    server = StdioServerParameters(command=sys.executable, args=words, env=place)

    async def ask():
        async with Client(stdio_client(server)) as client:
            found = await called(client, query="w1 w2", k=2)
            return found.structured_content["result"]

    assert [row["rank"] for row in asyncio.run(ask())] == [1, 2]
    assert "--port is for HTTP" in refused("serve", index, "--stdio", "--port", 8601)
