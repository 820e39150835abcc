"""A small collection and a store of results for the tests of options."""

import json

import numpy as np
import pytest

WORDS = [f"w{n}" for n in range(200)]


@pytest.fixture(scope="module")
def corner(tmp_path_factory):
    """A BEIR folder of 30 documents and 8 queries, each a document's beginning; judged in test,
    half of them in dev.
    """
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("beir") / "corner"
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in range(30)]
    write(
        folder / "corpus.jsonl",
        ({"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)),
    )
    write(
        folder / "queries.jsonl",
        ({"_id": f"q{n}", "text": " ".join(texts[n].split()[:6])} for n in range(8)),
    )
    for split, count in (("test", 8), ("dev", 4)):
        rows = [f"q{n}\td{n}\t1\n" for n in range(count)]
        (folder / "qrels" / f"{split}.tsv").write_text(
            "query-id\tcorpus-id\tscore\n" + "".join(rows)
        )
    return folder


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def late(tmp_path_factory, tiny_folder):
    """A late-interaction encoder: token vectors of the tiny BERT, normalised."""
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    folder = tmp_path_factory.mktemp("models") / "late"
    transformer = SentenceTransformer(str(tiny_folder), device="cpu")[0]
    modules = [transformer, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, device="cpu").save(str(folder))
    return folder


@pytest.fixture
def ok(cli, home):
    """Run a command line that has to end well;
    gives what its --json says, else its standard output.
    """

    def call(*arguments):
        code, out, err = cli(*arguments)
        assert code == 0, err
        return json.loads(out) if "--json" in arguments else out

    return call


@pytest.fixture
def refused(cli, home):
    """Run a command line that has to be refused; gives the error."""

    def call(*arguments):
        code, _, err = cli(*arguments)
        assert code == 2 and "Traceback" not in err, err
        return err

    return call
