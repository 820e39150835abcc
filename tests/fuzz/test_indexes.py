"""Saved indexes: flipped, cut, swapped, and made on purpose, with the right checksums."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from children import apart, search
from command_line import run
from hostile import damages, examples, with_another_value
from hypothesis import given
from hypothesis import strategies as st

import retrievers
from retrievers.index_generations import file_checksum
from retrievers.index_manifest import manifest_checksum

IDS = [f"d{n}" for n in range(40)]
TEXTS = [f"w{n} w{n + 1} w{2 * n}" for n in range(40)]
VECTORS = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)


def sparse_vectors():
    from scipy.sparse import random

    return random(
        40, 30, 0.3, format="csr", dtype=np.float32, random_state=np.random.default_rng(0)
    )


SPECS = {"torch": VECTORS, "faiss:flat": VECTORS, "faiss:hnsw8": VECTORS, "faiss:ivf4,sq8": VECTORS,
         "faiss:binary,rescore=2": VECTORS, "sparse": None, "seismic": None}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """One index of each kind."""
    place = tmp_path_factory.mktemp("saved")
    for number, (spec, vectors) in enumerate(SPECS.items()):
        documents = sparse_vectors() if vectors is None else vectors
        retrievers.make(spec, encoder="m@1").index(IDS, documents).save(place / str(number))
    return place


def asked(index: Path, spec: str):
    """What the index answers, in a process of its own."""
    return apart(search, index, sparse_vectors()[:3] if SPECS[spec] is None else VECTORS[:3])


def copied(saved: Path, number: int) -> Path:
    target = saved / "copy"
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(saved / str(number), target))


def data_files(index: Path) -> list[Path]:
    return sorted(file for file in index.rglob("*") if file.is_file())


@examples(12)
@given(data=st.data())
def test_damage_is_refused_or_without_effect(saved, data):
    number, spec = data.draw(st.sampled_from(list(enumerate(SPECS))))
    index = copied(saved, number)
    clean = asked(index, spec)
    file = data.draw(st.sampled_from(data_files(index)))
    file.write_bytes(data.draw(damages).to(file.read_bytes()))
    found = asked(index, spec)
    assert isinstance(found, str) or found == clean


def signed(index: Path) -> None:
    """Make the checksums right again."""
    manifest = json.loads((index / "index.json").read_bytes())
    data = index / manifest["data"]
    for name in list(manifest["files"]):
        file = data / name
        if file.is_file():
            manifest["files"][name] = [file.stat().st_size, file_checksum(file)]
    manifest.pop("checksum", None)
    manifest["checksum"] = manifest_checksum(manifest)
    (index / "index.json").write_text(json.dumps(manifest))


@examples(12)
@given(data=st.data())
def test_files_made_on_purpose_are_searched_or_refused(saved, data):
    number, spec = data.draw(
        st.sampled_from([pair for pair in enumerate(SPECS) if pair[1] != "seismic"])
    )
    index = copied(saved, number)
    file = data.draw(
        st.sampled_from([file for file in data_files(index) if file.name != "index.json"])
    )
    file.write_bytes(data.draw(damages).to(file.read_bytes()))
    signed(index)
    asked(index, spec)


@examples(12)
@given(data=st.data())
def test_manifests_made_on_purpose_are_read_or_refused(saved, data):
    number, spec = data.draw(st.sampled_from(list(enumerate(SPECS))))
    index = copied(saved, number)
    manifest = json.loads((index / "index.json").read_bytes())
    manifest.pop("checksum")
    text = data.draw(with_another_value(manifest))
    try:
        changed = json.loads(text)
        changed = {**changed, "checksum": manifest_checksum(changed)}
        text = json.dumps(changed)
    except (ValueError, RecursionError, TypeError):
        pass
    (index / "index.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    asked(index, spec)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """Text indexes: bm25 and a fusion with a model."""
    place = tmp_path_factory.mktemp("indexed")
    documents = [{"title": "t", "text": text, "year": 1} for text in TEXTS]
    one = retrievers.make("lucene").index(IDS, documents)
    one.save(place / "bm25")
    other = retrievers.make("lucene:multifield").index(IDS, documents)
    retrievers.rrf(one, other).save(place / "fusion")
    return place


@examples(8)
@given(data=st.data(), on_purpose=st.booleans())
def test_text_indexes_on_the_command_line(indexed, data, on_purpose):
    name = data.draw(st.sampled_from(["bm25", "fusion"]))
    index = indexed / "copy"
    shutil.rmtree(index, ignore_errors=True)
    shutil.copytree(indexed / name, index)
    files = data_files(index)
    file = data.draw(st.sampled_from(files))
    if file.name == "index.json":
        text = data.draw(with_another_value(json.loads(file.read_bytes())))
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
    else:
        file.write_bytes(data.draw(damages).to(file.read_bytes()))
    if on_purpose:
        for manifest in sorted(index.rglob("index.json"), key=lambda path: -len(path.parts)):
            with suppress(
                ValueError, RecursionError, TypeError, LookupError, AttributeError, OSError
            ):
                signed(manifest.parent)
    clean, found = (
        run("search", indexed / name, "w3 w4", "--json"),
        run("search", index, "w3 w4", "--json"),
    )
    assert on_purpose or found.code == 2 or found.json == clean.json
