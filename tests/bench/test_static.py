"""Published static vectors on STSBenchmark through the command line:
WordLlama's, as its package carries them.

They are read from the package `wordllama` (MIT): `pip install --no-deps wordllama` somewhere on the
path.
"""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from safetensors.torch import load_file
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from sentence_transformers.util import pairwise_cos_sim
from tokenizers import Tokenizer

STS = Path(__file__).parents[2] / "../shared/data/sts"
PACKAGE = find_spec("wordllama")

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not STS.is_dir(), reason=f"needs {STS}"),
    pytest.mark.skipif(
        PACKAGE is None, reason="needs the package wordllama: pip install --no-deps wordllama"
    ),
]


def test_wordllama_on_stsbenchmark(home, cli, tmp_path, capfd):
    where = Path(PACKAGE.origin).parent
    tokenizer = Tokenizer.from_file(str(where / "tokenizers/l2_supercat_tokenizer_config.json"))
    (vectors,) = load_file(where / "weights/l2_supercat_256.safetensors").values()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, vectors.float())], device="cpu")
    model.save(str(tmp_path / "wordllama-256"))

    arguments = ("--task", "STSBenchmark", "--data-dir", STS, "--dtype", "float32", "--json")
    code, out, err = cli("eval", "--model", tmp_path / "wordllama-256", *arguments)
    assert code == 0, err
    score = json.loads(out)["runs"][0]["main_score"]

    with (STS / "STSBenchmark.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    one, other = (model.encode([row[name] for row in rows]) for name in ("sentence1", "sentence2"))
    own = spearmanr(pairwise_cos_sim(one, other), [float(row["score"]) for row in rows]).statistic
    with capfd.disabled():
        print(
            f"\nWordLlama, 256 dimensions, STSBenchmark: {score:.5f} over {len(rows):,} pairs (by"
            f" hand {own:.5f})"
        )
    assert score == pytest.approx(own, abs=1e-6)
