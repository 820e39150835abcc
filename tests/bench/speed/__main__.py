"""embedlab beside what people use today, on this machine:
`make bench`, or `python tests/bench/speed [--tiny]`.

Every system runs in processes of its own with all cores, in turn with the others. Ratios are
medians over the rounds with their range; times are the best round's. About 25 minutes on two cores;
`--tiny` checks in two that all works.
"""

import argparse
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import encoding
import evaluating
import profiling
import searching
from measuring import CORES, table
from peak import matrix_rate

from embedlab.evaluation.environment import environment
from embedlab.hardware import processor_flags

PARTS = ("encode", "profile", "sequences", "search", "evaluate")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--tiny", action="store_true", help="small sizes, to see that everything works"
    )
    parser.add_argument(
        "--compile", action="store_true", help="also with torch.compile (some minutes more)"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; repeatable")
    asked = parser.parse_args()
    began, failed = time.perf_counter(), 0

    peaks = {
        dtype: matrix_rate(dtype, 0.5 if asked.tiny else 4.0) for dtype in ("float32", "bfloat16")
    }
    summary = [
        [f"matrix peak, {dtype}", f"{rate / 1e9:,.0f} GFLOP/s on {CORES} cores"]
        for dtype, rate in peaks.items()
    ]
    print(
        table("This machine", ["measure", "value"], [["processor", _processor()], *summary]),
        flush=True,
    )
    parts = {
        "encode": lambda: encoding.compare(peaks, tiny=asked.tiny, compiled=asked.compile),
        "profile": lambda: (profiling.shares(tiny=asked.tiny), []),
        "sequences": lambda: (encoding.curve(tiny=asked.tiny), []),
        "search": lambda: searching.curves(tiny=asked.tiny),
        "evaluate": lambda: evaluating.compare(tiny=asked.tiny),
    }
    for name in asked.only or PARTS:
        try:
            out, rows = parts[name]()
        except Exception:  # one part's failure must not cost the others their hour
            traceback.print_exc()
            out, rows, failed = f"\nThe part {name!r} failed; see the traceback.", [], failed + 1
        summary += rows
        print(out, flush=True)
        print(
            f"\n({name}: done after {(time.perf_counter() - began) / 60:.1f} minutes)", flush=True
        )
    print(
        table("Summary", ["measure", "value"], [["processor", _processor()], *summary]), flush=True
    )
    return 1 if failed else 0


def _processor() -> str:
    known = [
        flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in processor_flags()
    ]
    return f"{environment()['cpu']}, {CORES} cores ({', '.join(known)})"


if __name__ == "__main__":
    sys.exit(main())
