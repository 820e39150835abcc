"""tiny.py and tables.py, for the tests beside them; the tables are printed when all have run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_terminal_summary(terminalreporter):
    import tables

    if found := list(tables.lines()):
        terminalreporter.section("largest differences from what the originals compute")
        terminalreporter.write("\n".join(found) + "\n")
