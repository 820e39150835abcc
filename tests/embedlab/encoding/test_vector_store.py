"""The vector store: found by content alone, appended to by many, damage noticed and mended."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from embedlab.encoding.vectors import vector_store
from embedlab.encoding.vectors.keys import space_address, text_keys
from embedlab.encoding.vectors.vector_store import Space

INGREDIENTS = {
    "model": "owner/name@abc",
    "method": "stock",
    "settings": {"kind": "dense"},
    "role": "query",
    "prompt": "q: ",
    "max_length": 256,
    "layer": None,
    "modules": ["Pooling{'mode': 'mean'}"],
    "cuts": {},
    "dtype": "float32",
    "device": "cpu",
    "attention_kernel": "sdpa",
    "kernels": "plain",
    "store_dtype": "float32",
}


def fill(space: Space, texts: list[str], seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(len(texts), 4)).astype(np.float32)
    space.add(text_keys("", texts), np.full(len(texts), 3), vectors, seconds=1.5)
    return vectors


def test_any_changed_ingredient_is_another_space():
    changed = {
        "model": "owner/name@abd",
        "method": "gem",
        "settings": {"kind": "sparse"},
        "role": "document",
        "prompt": "q:",
        "max_length": 255,
        "layer": 3,
        "modules": ["Pooling{'mode': 'cls'}"],
        "cuts": {"truncate_dim": 8},
        "dtype": "bfloat16",
        "device": "cuda",
        "attention_kernel": "eager",
        "kernels": "packed",
        "store_dtype": "float16",
    }
    assert changed.keys() == INGREDIENTS.keys()
    addresses = {space_address({**INGREDIENTS, name: value}) for name, value in changed.items()}
    assert len(addresses | {space_address(INGREDIENTS)}) == len(changed) + 1
    assert space_address(dict(reversed(INGREDIENTS.items()))) == space_address(INGREDIENTS)


def test_the_encoder_names_every_ingredient(tiny):
    from embedlab.encoding.encoder import Encoder

    assert Encoder(tiny).ingredients("query", "q: ", None).keys() == INGREDIENTS.keys()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("", "ab"), ("a", "b")),
        (("a", ""), ("", "a")),
        (("", "x"), ("", "x ")),
        (("", "\ud800"), ("", "?")),
    ],
)
def test_keys_tell_prompt_and_text_apart(one, other):
    assert text_keys(one[0], [one[1]]) != text_keys(other[0], [other[1]])


def test_what_was_added_is_found_in_any_order(tmp_path):
    space = Space(INGREDIENTS, tmp_path)
    first, second = fill(space, ["a", "b"]), fill(space, ["c"], seed=1)
    again = Space(INGREDIENTS, tmp_path)
    assert again.has(text_keys("", ["c", "z", "a"])).tolist() == [True, False, True]
    vectors = again.vectors(text_keys("", ["c", "a", "b", "a"]))
    np.testing.assert_array_equal(
        vectors.read(), np.stack([second[0], first[0], first[1], first[0]])
    )
    np.testing.assert_array_equal(np.concatenate(list(vectors.chunks(2))), vectors.read())
    assert vectors.tokens().tolist() == [3, 3, 3, 3]
    # Both shards whole, the doubled text counted once.
    assert vectors.seconds() == (pytest.approx(3.0), 0.0)
    with pytest.raises(KeyError):
        again.vectors(text_keys("", ["z"]))


def test_sparse_vectors_keep_their_rows(tmp_path):
    space = Space(INGREDIENTS, tmp_path)
    matrix = csr_matrix(
        random_array((5, 30), density=0.2, rng=np.random.default_rng(0), dtype=np.float32)
    )
    texts = list("abcde")
    space.add(text_keys("", texts[:3]), np.ones(3), matrix[:3], 0.0)
    space.add(text_keys("", texts[3:]), np.ones(2), matrix[3:], 0.0)
    found = Space(INGREDIENTS, tmp_path).vectors(text_keys("", list("ecabd"))).read()
    np.testing.assert_array_equal(found.toarray(), matrix.toarray()[[4, 2, 0, 1, 3]])


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_shard_is_named_and_encoded_again(tmp_path, capsys, damage):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a", "b"])
    fill(space, ["c"], seed=1)
    victim = sorted(space.folder.glob("*.dense.npy"), key=lambda path: path.stat().st_mtime_ns)[0]
    if damage == "remove":
        victim.unlink()
    else:
        content = bytearray(victim.read_bytes())
        content[-1] ^= 1
        victim.write_bytes(content if damage == "flip" else content[:-4])
    assert vector_store.verify(tmp_path)[0].startswith(f"{space.folder.name}/{victim.name}")
    again = Space(INGREDIENTS, tmp_path)
    assert victim.name in capsys.readouterr().err
    assert again.has(text_keys("", ["a", "b", "c"])).tolist() == [False, False, True]
    fill(again, ["a", "b"])
    assert vector_store.verify(tmp_path) == []
    assert Space(INGREDIENTS, tmp_path).has(text_keys("", ["a", "b", "c"])).all()


def test_a_damaged_manifest_costs_its_space_only(tmp_path, capsys):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])
    (space.folder / "manifest.json").write_text("{")
    assert not Space(INGREDIENTS, tmp_path).has(text_keys("", ["a"])).any()
    assert "manifest.json is damaged" in capsys.readouterr().err


def test_prune_frees_what_no_manifest_names(tmp_path):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])
    orphan = space.folder / "0123.dense.npy"
    orphan.write_bytes(b"x" * 1000)
    assert vector_store.prune(tmp_path) == 1000
    assert not orphan.exists()
    assert vector_store.verify(tmp_path) == []
    vector_store.prune(tmp_path, matching="OWNER/name")
    assert not space.folder.exists()


WRITER = """
import sys
import numpy as np
from pathlib import Path
from embedlab.encoding.vectors.keys import text_keys
from embedlab.encoding.vectors.vector_store import Space

root, number = Path(sys.argv[1]), int(sys.argv[2])
space = Space({"model": "shared"}, root)
for part in range(20):
    keys = text_keys("", [f"{number}-{part}-{text}" for text in range(5)])
    space.add(keys, np.ones(5), np.full((5, 2), 100 * number + part, np.float32), 0.0)
    Space({"model": "shared"}, root).vectors(keys).read()
"""


def test_several_processes_write_and_read_at_once(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(n)], cwd=Path(__file__).parents[3]
        )
        for n in range(4)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0, 0]
    space = Space({"model": "shared"}, tmp_path)
    for number in range(4):
        keys = text_keys("", [f"{number}-{part}-{text}" for part in range(20) for text in range(5)])
        expected = np.repeat(100 * number + np.arange(20, dtype=np.float32), 5)
        np.testing.assert_array_equal(space.vectors(keys).read()[:, 0], expected)


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    from embedlab.encoding.vectors import shards
    from embedlab.errors import UserError

    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards.np, "save", full)
    with pytest.raises(UserError, match="No space left"):
        fill(space, ["b"])
    monkeypatch.undo()
    assert Space(INGREDIENTS, tmp_path).has(text_keys("", ["a", "b"])).tolist() == [True, False]
