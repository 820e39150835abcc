"""Ctrl-C on a server, as a process of its own: it is the user's way to end it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests import ready

pytest.importorskip("mcp", reason="needs the extra serve")


@pytest.mark.parametrize("kind", ["bm25", "dense"])
def test_ctrl_c_ends_a_server_in_peace(kind, tiny_folder, tmp_path, home, cli):
    """Java and faiss have threads and handlers of their own, and have answered before."""
    rows = [{"_id": f"d{n}", "text": f"w{n} w{n + 1}"} for n in range(5)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    index, model = tmp_path / "index", {"dense": tiny_folder}.get(kind, kind)
    assert cli("index", tmp_path / "corpus.jsonl", "--model", model, "--out", index)[0] == 0

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    typed = ["-m", "embedlab", "serve", str(index), "--port", str(port)]
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "OMP_NUM_THREADS": "1"}
    said = tmp_path / "said"
    if kind == "dense":  # torch takes five seconds of computing to import
        server = ready.Process(*typed, env=environment)
        heard = server.said
    else:
        with said.open("w") as file:
            server = subprocess.Popen([sys.executable, *typed], env=environment, stderr=file)
        heard = said.read_text
    until = time.monotonic() + 120
    while "Ctrl-C ends it" not in heard():
        assert server.poll() is None and time.monotonic() < until, heard()
        time.sleep(0.02)
    body = json.dumps({"query": "w3", "k": 1}).encode()
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/search", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:
        assert len(json.load(answer)["results"]) == 1
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=60) == 0
    assert re.fullmatch(
        r"(The hub .*\n)?Serving index at .* Ctrl-C ends it\.\n\nStopping: .* finished first\.\n",
        heard(),
    )
