"""A fault in a process that had a cluster."""

import signal

from tests import ready

_FAULT = """
import faulthandler, os, signal
from embedlab.cluster import engine
from embedlab.cluster_address import ClusterAddress

faulthandler.enable()
with engine.opened(ClusterAddress(workers=1), on_gpus=False, say=print):
    pass
os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_a_fault_is_handled_as_before():
    """Java's, too, which goes on where Ray's ends the process."""
    ended = ready.run("-c", _FAULT)
    assert ended.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in ended.stderr
