"""`embedlab dashboard`: served on this machine alone, from any folder;
what is wrong is said before anything starts.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from embedlab.tasks import benchmark_parts, described

ROOT = Path(__file__).parents[3]


@pytest.mark.effect("dashboard --port", "dashboard --db", "dashboard --indexes")
def test_it_serves_localhost_from_any_folder_and_ends_with_ctrl_c(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path / "home"
    (home / "saved").mkdir(parents=True)
    # With benchmarks and tasks there already, the command need not import mteb.
    (home / described.file().name).write_text("{}")
    (home / benchmark_parts.file().name).write_text(json.dumps({"parts": {}, "main_revisions": {}}))
    # A folder from elsewhere, which would open the server to other sites.
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit/config.toml").write_text(
        '[server]\naddress = "0.0.0.0"\nenableCORS = false\ncorsAllowedOrigins ='
        ' ["http://evil.example"]\nenableAgentApi = true\n[browser]\nserverAddress ='
        ' "evil.example"\n'
    )
    for name in ("app", "streamlit", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open('ran-{name}', 'w').close()")
    environment = {**os.environ, "EMBEDLAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-P",
        "-c",
        "from embedlab.cli import run; run()",
        "dashboard",
        "--port",
        str(port),
    ]
    command += ["--db", str(home / "other.duckdb"), "--indexes", str(home / "saved")]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert _answer(f"http://127.0.0.1:{port}/_stcore/health") == b"ok"
            assert (
                _socket(port, f"http://127.0.0.1:{port}") == 101
                and _socket(port, "http://evil.example") == 403
            )
            settings = _settings(process.pid)  # what the pages read
            assert settings["db"] == str(home / "other.duckdb") and settings["indexes"] == str(
                home / "saved"
            )
            with socket.socket() as outside:
                outside.settimeout(2)
                assert outside.connect_ex((_outer_address(), port)) != 0
        finally:
            os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches the whole group
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 130  # as every command that Ctrl-C ends
    assert f"http://localhost:{port}" in errors.decode() and "Traceback" not in errors.decode()
    assert not (home / "results.duckdb").exists() and not list(tmp_path.glob("ran-*"))


def test_a_port_in_use_is_one_message(cli, home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, errors = cli("dashboard", "--port", taken.getsockname()[1])
    assert code == 2 and "is in use" in errors and "--port" in errors


def test_a_folder_of_indexes_that_is_not_there(cli, home, tmp_path):
    code, _, errors = cli("dashboard", "--indexes", tmp_path / "nowhere")
    assert code == 2 and "There is no folder" in errors


def _settings(parent: int) -> dict:
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    variables = Path(f"/proc/{child}/environ").read_text().split("\0")
    return json.loads(
        next(v for v in variables if v.startswith("EMBEDLAB_DASHBOARD=")).partition("=")[2]
    )


def _answer(address: str) -> bytes:
    end = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(address, timeout=1).read()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)


def _socket(port: int, origin: str) -> int:
    """The status with which a page of `origin` is let in, or not, to what drives the dashboard."""
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Origin": origin, "Connection": "Upgrade", "Upgrade": "websocket", **key}
    connection.request("GET", "/_stcore/stream", headers=headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def _outer_address() -> str:
    """This machine's address on its network;
    where it has none, another loopback address will do.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.2"
