import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrievers
from retrievers import RetrieverError, folder
from retrievers.index_generations import file_checksum
from retrievers.index_manifest import manifest_checksum

FAISS = ("faiss:flat", "faiss:hnsw32", "faiss:ivf8,nprobe=3", "faiss:sq8", "faiss:binary,rescore=4")
DENSE = ("torch", *FAISS, "lucene:hnsw")
SPARSE = ("sparse", "sparse,scale=100", "seismic", "lucene:impact")
TEXT = ("lucene", "lucene:multifield,k1=1.2,language=fr")


@pytest.mark.parametrize("spec", [*DENSE, *SPARSE, *TEXT])
def test_a_loaded_index_answers_as_the_saved_one(
    spec, tmp_path, ids, vectors, sparse_vectors, texts
):
    documents, queries = (
        vectors
        if spec in DENSE
        else sparse_vectors
        if spec in SPARSE
        else (texts, ["w3 w5", "w100"])
    )
    index = retrievers.make(spec, encoder="model@1").index(ids, documents)
    index.save(tmp_path / "index")
    loaded = retrievers.load(tmp_path / "index", "model@1")
    for only in (None, ids[3:300:4]):
        for got, wanted in zip(
            loaded.search(queries, 9, only=only), index.search(queries, 9, only=only), strict=True
        ):
            np.testing.assert_array_equal(got, wanted)
    assert loaded.manifest == index.manifest and loaded.manifest["settings"] == index.settings
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    loaded.save(tmp_path / "again")
    assert (
        retrievers.load(tmp_path / "again").search(queries, 3).rows == index.search(queries, 3).rows
    ).all()


@pytest.mark.parametrize("spec", [*DENSE, *SPARSE, *TEXT])
def test_an_index_named_relatively_outlives_a_change_of_folder(
    spec, tmp_path, ids, vectors, sparse_vectors, texts, monkeypatch
):
    """Java keeps the folder that it was started in,
    and files may be read long after the index was loaded.
    """
    documents, queries = (
        vectors if spec in DENSE else sparse_vectors if spec in SPARSE else (texts, ["w3 w5"])
    )
    monkeypatch.chdir(tmp_path)
    index = retrievers.make(spec).index(ids, documents)
    index.save("index")
    loaded = retrievers.load("index")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (loaded.search(queries, 5).rows == index.search(queries, 5).rows).all()
    loaded.save("again")
    assert (retrievers.load("again").search(queries, 5).rows == index.search(queries, 5).rows).all()


def test_another_encoder_is_refused(tmp_path, ids, vectors):
    retrievers.make("torch", encoder="model@1").index(ids, vectors[0]).save(tmp_path / "index")
    assert retrievers.load(tmp_path / "index").encoder == "model@1"
    with pytest.raises(RetrieverError, match="made with the encoder 'model@1', not 'model@2'"):
        retrievers.load(tmp_path / "index", "model@2")


@pytest.mark.parametrize("harm", ["shorten", "remove", "manifest", "cut manifest"])
def test_a_half_written_index_is_named(harm, tmp_path, ids, vectors):
    retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "index")
    file = (
        tmp_path / "index/index.json"
        if "manifest" in harm
        else next(tmp_path.glob("index/data-*/vectors.npy"))
    )
    (
        file.write_bytes(file.read_bytes()[:-40])
        if harm
        in (
            "shorten",
            "cut manifest",
        )
        else file.unlink()
    )
    with pytest.raises(
        RetrieverError, match="damaged" if harm == "cut manifest" else "half-written"
    ):
        retrievers.load(tmp_path / "index")


@pytest.mark.parametrize(
    "spec", ["torch", "faiss:hnsw32", "faiss:binary,rescore=4", "sparse", "seismic", "lucene"]
)
def test_no_flipped_bit_goes_unseen(spec, tmp_path, ids, vectors, sparse_vectors, texts):
    documents = vectors[0] if spec in DENSE else sparse_vectors[0] if spec in SPARSE else texts
    one, other = (
        retrievers.make(spec).index(ids, documents),
        retrievers.make("torch").index(ids, vectors[0]),
    )
    (retrievers.rrf(one, other) if spec == "lucene" else one).save(tmp_path / "index")
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    random = np.random.default_rng(0)
    for file in files:
        whole = file.read_bytes()
        for at in random.choice(len(whole), size=min(4, len(whole)), replace=False):
            harmed = bytearray(whole)
            harmed[at] ^= 1 << int(random.integers(8))
            file.write_bytes(harmed)
            with pytest.raises(RetrieverError):
                retrievers.load(tmp_path / "index")
        file.write_bytes(whole)
    retrievers.load(tmp_path / "index")


def test_a_loaded_index_is_of_one_moment(tmp_path, texts):
    """An index that is replaced after it was loaded goes on as it was;
    a new load sees the new one.
    """
    for spec in ("lucene", "lucene:multifield"):
        retrievers.make(spec).index(["a", "b"], ["apples are red", "bananas are yellow"]).save(
            tmp_path / spec
        )
        held = retrievers.load(tmp_path / spec)
        retrievers.make(spec).index(
            ["x", "y", "z"], ["violins sing", "cellos hum", "apples fall"]
        ).save(tmp_path / spec)
        assert not held.search_one("cellos", 3) and held.search_one("apples", 3)[0][0] == "a"
        assert held.text(1) == "bananas are yellow" and held.memory_bytes() > 0
        assert retrievers.load(tmp_path / spec).search_one("apples", 3)[0][0] == "z"


def test_an_index_that_is_replaced_while_it_is_read_is_read_anew(tmp_path, ids, vectors):
    retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "index")
    seen = []

    def use(manifest: dict, data: Path):
        seen.append(data)
        if len(seen) == 1:
            retrievers.make("torch").index(ids[:50], vectors[0][:50]).save(tmp_path / "index")
        return manifest["documents"], (data / "ids.json").read_text().count(",") + 1

    assert folder.read(tmp_path / "index", use) == (50, 50) and len(seen) == 2


def test_a_killed_save_leaves_the_old_index(tmp_path, ids, vectors):
    retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "index")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom retrievers import folder\ndef"
        " fill(target):\n    (target / 'vectors.npy').write_bytes(b'half')\n    print('writing',"
        " flush=True)\n    time.sleep(60)\nfolder.write(Path(sys.argv[1]), {}, fill)"
    )
    for target in ("index", "fresh"):
        command = [sys.executable, "-c", code, str(tmp_path / target)]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert victim.stdout.readline() == "writing\n"
        victim.kill()
        victim.wait()
    assert len(retrievers.load(tmp_path / "index").ids) == 600
    with pytest.raises(RetrieverError, match="not an index, or a half-written one"):
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
    site = tmp_path / "site"
    (site / "img").mkdir(parents=True)
    (site / "index.json").write_text('{"pages": []}')
    for target in (tmp_path, tmp_path / "thesis.txt", site):
        with pytest.raises(RetrieverError, match="is not an index"):
            index.save(target)
    assert (tmp_path / "thesis.txt").read_text() == "years of work" and (site / "img").is_dir()
    with pytest.raises(RetrieverError, match="not an index"):
        retrievers.load(site)
    (tmp_path / "empty").mkdir()
    index.save(tmp_path / "empty")
    assert json.loads((tmp_path / "empty/index.json").read_text())["documents"] == 600


def test_files_beside_an_index_stay_when_it_is_replaced(tmp_path, ids, vectors):
    index = retrievers.make("torch").index(ids, vectors[0])
    index.save(tmp_path / "index")
    (tmp_path / "index/notes.txt").write_text("mine")
    index.save(tmp_path / "index")
    assert (tmp_path / "index/notes.txt").read_text() == "mine"
    assert len(list(tmp_path.glob("index/data-*"))) == 1


def test_a_link_stays_a_link_and_the_working_folder_is_a_folder(
    tmp_path, monkeypatch, ids, vectors
):
    index = retrievers.make("torch").index(ids, vectors[0])
    index.save(tmp_path / "disk/real")
    (tmp_path / "link").symlink_to(tmp_path / "disk/real")
    index.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(
        retrievers.load(tmp_path / "disk/real").ids
    ) == 600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "link"]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    index.save(Path())
    index.save(Path())
    assert len(retrievers.load(Path()).ids) == 600
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(RetrieverError, match="is a link to"):
        index.save(tmp_path / "nowhere")


_WRITES = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "shutil.rmtree",
    "tempfile.mkdtemp",
}


def test_an_index_is_there_wherever_its_replacement_is_killed(tmp_path, ids, vectors):
    """The process is killed before its first write to the disk, before its second, and so on."""
    old = retrievers.make("torch").index(ids, vectors[0])
    new = retrievers.make("torch").index(ids[:50], vectors[0][:50])
    old.save(tmp_path / "index")
    point, seen = 0, set()
    while True:
        point += 1
        child = os.fork()
        if not child:
            _kill_at(point, lambda: new.save(tmp_path / "index"))
        _, status = os.waitpid(child, 0)
        found = len(retrievers.load(tmp_path / "index").ids)
        assert found in (600, 50)
        seen.add(found)
        if os.WIFEXITED(status):
            break
        if found == 50:
            old.save(tmp_path / "index")
    assert point > 10 and seen == {600, 50}
    assert len(list(tmp_path.glob("index/data-*"))) == 1


def _kill_at(point: int, work) -> None:
    """In a child process: do the work,
    and die without a word at its `point`-th write to the disk.
    """
    counted = iter(range(1, point))

    def hook(event: str, arguments) -> None:
        writes = (
            event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        )
        if (writes or event in _WRITES) and next(counted, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()
    os._exit(0)


@pytest.mark.parametrize("name", ["data-2024-backup", "data-1-x", "data-{own}-x"])
def test_a_folder_of_somebody_else_is_not_taken_for_a_generation(name, tmp_path, ids, vectors):
    """Whatever its name, and also where a manifest says that it replaces it."""
    name = name.format(own=os.getpid())
    index = retrievers.make("torch").index(ids, vectors[0])
    theirs = tmp_path / "home" / name / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("precious")
    with pytest.raises(RetrieverError, match="is not an index"):
        index.save(tmp_path / "home")
    index.save(tmp_path / "index")
    (tmp_path / "home").rename(tmp_path / "index/home")
    (tmp_path / "index/home" / name).rename(tmp_path / "index" / name)
    manifest = json.loads((tmp_path / "index/index.json").read_text())
    (tmp_path / "index/index.json").write_text(json.dumps({**manifest, "replaces": [name]}))
    index.save(tmp_path / "index")
    assert (tmp_path / "index" / name / "thesis.txt").read_text() == "precious"
    assert len(list(tmp_path.glob("index/data-*"))) == 2


def test_links_that_lead_in_a_circle_are_refused(tmp_path, ids, vectors):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(RetrieverError, match="leads back to itself"):
        retrievers.make("torch").index(ids, vectors[0]).save(tmp_path / "a")


def _replace(index: Path, name: str, content: bytes) -> None:
    """Put other content into a saved index, with the checksums that belong to it."""
    manifest = json.loads((index / "index.json").read_text())
    del manifest["checksum"]
    (index / manifest["data"] / name).write_bytes(content)
    manifest["files"][name] = [len(content), file_checksum(index / manifest["data"] / name)]
    checksum = manifest_checksum(manifest)
    (index / "index.json").write_text(json.dumps({**manifest, "checksum": checksum}))


@pytest.mark.parametrize(
    "ids_file",
    ["5", '{"a": 1}', '"abc"', '["one"]', '["a", "a"]', "[1, 2]", "[" * 100_000, '["a", ""]'],
)
@pytest.mark.parametrize("spec", ["torch", "faiss:flat", "sparse", "seismic", "lucene"])
def test_ids_that_do_not_fit_are_refused_though_the_checksums_do(
    spec, ids_file, tmp_path, vectors, sparse_vectors
):
    documents = (
        ["one", "two"]
        if spec == "lucene"
        else (sparse_vectors if spec in SPARSE else vectors)[0][:2]
    )
    retrievers.make(spec).index(["a", "b"], documents).save(tmp_path / "index")
    _replace(tmp_path / "index", "ids.json", ids_file.encode())
    with pytest.raises(RetrieverError):
        retrievers.load(tmp_path / "index")
