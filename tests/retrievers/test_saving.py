import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrievers
from retrievers import RetrieverError, folder

FAISS = ("faiss:flat", "faiss:hnsw32", "faiss:ivf8,nprobe=3", "faiss:sq8", "faiss:binary,rescore=4")
DENSE = ("torch", *FAISS, "lucene:hnsw")
SPARSE = ("sparse", "sparse,scale=100", "seismic", "lucene:impact")
TEXT = ("lucene", "lucene:multifield,k1=1.2,language=fr")


@pytest.mark.parametrize("spec", [*DENSE, *SPARSE, *TEXT])
def test_a_loaded_index_answers_as_the_saved_one(spec, tmp_path, ids, vectors, sparse_vectors, texts):
    documents, queries = vectors if spec in DENSE else sparse_vectors if spec in SPARSE else (texts, ["w3 w5", "w100"])
    index = retrievers.make(spec, encoder="model@1").index(ids, documents)
    index.save(tmp_path / "index")
    loaded = retrievers.load(tmp_path / "index", "model@1")
    for only in (None, ids[3:300:4]):
        for got, wanted in zip(loaded.search(queries, 9, only=only), index.search(queries, 9, only=only), strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert loaded.manifest == index.manifest and loaded.manifest["settings"] == index.settings
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    loaded.save(tmp_path / "again")
    assert (retrievers.load(tmp_path / "again").search(queries, 3).rows == index.search(queries, 3).rows).all()


def test_another_encoder_is_refused(tmp_path, ids, vectors):
    retrievers.make("torch", encoder="model@1").index(ids, vectors[0]).save(tmp_path / "index")
    assert retrievers.load(tmp_path / "index").encoder == "model@1"
    with pytest.raises(RetrieverError, match="made with the encoder 'model@1', not 'model@2'"):
        retrievers.load(tmp_path / "index", "model@2")


@pytest.mark.parametrize("harm", ["shorten", "remove", "manifest", "cut manifest"])
def test_a_half_written_index_is_named(harm, tmp_path, ids, vectors):
    retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "index")
    file = tmp_path / "index" / ("index.json" if "manifest" in harm else "vectors.npy")
    file.write_bytes(file.read_bytes()[:-40]) if harm in ("shorten", "cut manifest") else file.unlink()
    with pytest.raises(RetrieverError, match="half-written"):
        retrievers.load(tmp_path / "index")


def test_a_killed_save_leaves_the_old_index(tmp_path, ids, vectors):
    retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "index")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom retrievers import folder\n"
        "def fill(target):\n    (target / 'vectors.npy').write_bytes(b'half')\n    print('writing', flush=True)\n"
        "    time.sleep(60)\nfolder.write(Path(sys.argv[1]), {}, fill)"
    )
    for target in ("index", "fresh"):
        command = [sys.executable, "-c", code, str(tmp_path / target)]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert victim.stdout.readline() == "writing\n"
        victim.kill()
        victim.wait()
    assert len(retrievers.load(tmp_path / "index").ids) == 600
    with pytest.raises(RetrieverError, match="no index"):
        retrievers.load(tmp_path / "fresh")
    for target in ("index", "fresh"):  # the next save sweeps up
        retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "index"]


def test_an_interrupted_save_leaves_nothing(tmp_path):
    def fill(target: Path):
        (target / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write(tmp_path / "index", {}, fill)
    assert not list(tmp_path.iterdir())


def test_nothing_but_an_index_is_replaced(tmp_path, ids, vectors):
    (tmp_path / "thesis.txt").write_text("years of work")
    index = retrievers.make("torch").index(ids, vectors[0])
    for target in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(RetrieverError, match="is not an index"):
            index.save(target)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    index.save(tmp_path / "empty")
    assert json.loads((tmp_path / "empty/index.json").read_text())["documents"] == 600


def test_a_loaded_index_takes_no_more(tmp_path, ids, vectors):
    retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "index")
    with pytest.raises(RetrieverError, match="no more documents"):
        retrievers.load(tmp_path / "index").add(["new"], vectors[0][:1])
