"""Providers through litellm, asked at an address of this machine."""

import json

import pytest

litellm = pytest.importorskip("litellm", reason="needs the extra litellm")


def test_a_provider_through_litellm(cli, home, capitals, server, monkeypatch):
    """litellm's own OpenAI-compatible provider, at the loopback server."""
    key = "sk-a-key-of-litellm"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    server.key = key
    arguments = ("eval", "-m", "litellm:openai/minilm", "-t", capitals, "--json")
    code, out, err = cli(*arguments)
    assert code == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["model"] == "litellm:openai/minilm" and run["main_score"] > 0.8
    assert not server.twice()
    assert key.encode() not in b"".join(p.read_bytes() for p in home.rglob("*") if p.is_file())
    server.key = "another"
    code, _, err = cli(*(*arguments[:2], "litellm:openai/minilm?revision=2", *arguments[3:]))
    assert code == 2 and "refused the key" in err and key not in err and "Traceback" not in err
    server.key = None
    code, _, err = cli(*(*arguments[:2], "litellm:openai/minilmm", *arguments[3:]))
    assert code == 2 and "minilmm" in err and "Traceback" not in err
