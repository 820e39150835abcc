"""A full, a read-only and a forbidden disk under every command that writes;
most of them by name (test_kills.py).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from full import may_mount
from test_kills import POINTS, jobs

# Bytes of a file.
LIMITS = ("limit=0", "limit=3000", *(("limit=100000", "limit=600000") if POINTS else ()))
# Bytes that are left.
LEFT = ("20000", *(("0", "200000", "1000000") if POINTS else ()), "read-only", "forbidden")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of the size of files")
@pytest.mark.parametrize("name", jobs("import trec"))
def test_what_a_disk_refuses_is_one_message_and_no_loss(name, environment, tmp_path):
    cases = (*LIMITS, *LEFT) if may_mount() else LIMITS  # mounts of its own take root on Linux
    program = [sys.executable, Path(__file__).with_name("full.py"), name, tmp_path, *cases]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=550)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    print(f"{name}: {len(found)} cases, {sum(case['code'] == 2 for case in found)} refused")
    assert not [case for case in found if case["wrong"]]
    assert not [
        case for case in found if case["case"] in ("read-only", "forbidden") and case["code"] != 2
    ]
