"""Whole evaluations as a user starts them, process and all:
`embedlab eval` beside a call of mteb.evaluate.
"""

import json
import sys
import tempfile
from pathlib import Path

from measuring import Taken, alternate, best, of_process, ratio, table
from texts import SCIFACT

# The same task from the same files; mteb renders, encodes, searches and scores by itself, in
# float32 as it comes.
MTEB = """
import json, sys
from embedlab import hub, tasks
hub.settle()
import mteb
from sentence_transformers import SentenceTransformer
from embedlab.models.files.model_files import weights
from embedlab.models import find
model = SentenceTransformer(str(weights(find("all-minilm-l6-v2"))[0]), device="cpu")
(task,) = tasks.resolve([sys.argv[1]])
tasks.load(task)
options = {"cache": None, "show_progress_bar": False, "encode_kwargs": {"batch_size": 32}}
result = mteb.evaluate(model, task, **options)
print(json.dumps(result[0].scores["test"][0]["ndcg_at_10"]))
"""

# From the start of a process to the first encoded text.
FIRST = {
    "embedlab": (
        """
from embedlab import models
from embedlab.encoding.encoder import Encoder
Encoder(models.load("all-minilm-l6-v2", device="cpu")).encode(["a text"], role="document")
"""
    ),
    "sentence-transformers": (
        """
from embedlab import hub
hub.settle()
from sentence_transformers import SentenceTransformer
from embedlab.models.files.model_files import weights
from embedlab.models import find
SentenceTransformer(str(weights(find("all-minilm-l6-v2"))[0]), device="cpu").encode(["a text"])
"""
    ),
}


def compare(*, tiny: bool) -> tuple[str, list[list[str]]]:
    """SciFact cold, in float32, warm, and by mteb. The tables, and summary rows."""
    if not SCIFACT.is_dir():
        return "\nSciFact: the data are not here, skipped.", []
    with tempfile.TemporaryDirectory() as scratch:
        folder = _small(Path(scratch)) if tiny else SCIFACT
        # The home of the last cold run, where the warm ones find its vectors.
        kept = Path(scratch) / "kept"
        rounds = iter(range(1_000))

        def cold(*options: str, home: Path | None = None) -> Taken:
            home = home or Path(scratch) / f"home{next(rounds)}"
            program = Path(sys.executable).with_name("embedlab")
            command = [
                program, "eval", "--model", "all-minilm-l6-v2", "--task", folder,
                "--json", *options,
            ]  # fmt: skip
            taken, out = of_process(command, EMBEDLAB_HOME=str(home))
            run = json.loads(out)["runs"][0]
            return taken._replace(
                facts={"score": run["main_score"], "encode": run["costs"]["encoded_now_seconds"]}
            )

        def mteb() -> Taken:
            taken, out = of_process(
                [sys.executable, "-c", MTEB, folder], EMBEDLAB_HOME=str(Path(scratch) / "mteb")
            )
            return taken._replace(facts={"score": json.loads(out.splitlines()[-1])})

        taken = alternate(
            {"embedlab, cold": lambda: cold("--dtype", "bfloat16"), "mteb.evaluate": mteb},
            1 if tiny else 2,
        )
        taken |= alternate({"embedlab, cold, float32": lambda: cold("--dtype", "float32")}, 1)
        cold("--dtype", "bfloat16", home=kept)
        taken |= alternate(
            {"embedlab, warm": lambda: cold("--dtype", "bfloat16", home=kept)}, 1 if tiny else 3
        )
        python = {
            name: (lambda code=code: of_process([sys.executable, "-c", code],
                                                EMBEDLAB_HOME=f"{scratch}/first{next(rounds)}")[0])
            for name, code in FIRST.items()
        }  # fmt: skip
        first = alternate(python, 1 if tiny else 2)
    theirs = taken["mteb.evaluate"]
    rows = [
        [
            name,
            f"{best(each).seconds:.1f}",
            f"{facts['encode']:.1f}" if "encode" in (facts := best(each).facts) else "",
            f"{facts['score']:.5f}",
            f"{best(each).busy:.0%}",
            f"{best(each).peak / 1e9:.2f}",
            ratio(theirs * 3, each),
        ]
        for name, each in taken.items()
    ]
    columns = [
        "whole process",
        "s",
        "of it encoding",
        "nDCG@10",
        "CPU busy",
        "peak GB",
        "x mteb.evaluate",
    ]
    out = table("Evaluating SciFact with all-minilm-l6-v2", columns, rows)
    starts = [[name, f"{best(each).seconds:.1f}"] for name, each in first.items()]
    out += "\n" + table("From process start to the first encoded text", ["system", "s"], starts)
    summary = [
        ["evaluate SciFact, cold", f"{rows[0][-1]} x mteb.evaluate"],
        ["evaluate SciFact, cold, float32", f"{rows[2][-1]} x mteb.evaluate"],
        ["evaluate SciFact, warm", f"{rows[3][-1]} x mteb.evaluate"],
        [
            "process start to first vector",
            f"{starts[0][1]} s (sentence-transformers {starts[1][1]} s)",
        ],
    ]
    return out, summary


def _small(scratch: Path) -> Path:
    """A BEIR folder of SciFact's first documents."""
    folder = scratch / "small"
    (folder / "qrels").mkdir(parents=True)
    lines = (SCIFACT / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[:120]
    (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "queries.jsonl").write_bytes((SCIFACT / "queries.jsonl").read_bytes())
    here = {json.loads(line)["_id"] for line in lines}
    head, *judged = (SCIFACT / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in judged if line.split("\t")[1] in here]
    (folder / "qrels/test.tsv").write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
    return folder
