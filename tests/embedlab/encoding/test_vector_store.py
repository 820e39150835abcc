"""The vector store: found by content alone, appended to by many, damage noticed and mended."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from embedlab.encoding.vectors import upkeep
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
    assert upkeep.verify(tmp_path)[0].startswith(f"{space.folder.name}/{victim.name}")
    again = Space(INGREDIENTS, tmp_path)
    assert victim.name in capsys.readouterr().err
    assert again.has(text_keys("", ["a", "b", "c"])).tolist() == [False, False, True]
    fill(again, ["a", "b"])
    assert upkeep.verify(tmp_path) == []
    assert Space(INGREDIENTS, tmp_path).has(text_keys("", ["a", "b", "c"])).all()


@pytest.mark.parametrize("damage", ["{", '{"name": "other"}', None])
def test_a_damaged_record_costs_its_shard_only(tmp_path, capsys, damage):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])
    (record,) = [path for path in space.folder.glob("*.json") if path.name != "manifest.json"]
    fill(space, ["b"])
    record.write_text(record.read_text().replace("1.5", "2.5") if damage is None else damage)
    again = Space(INGREDIENTS, tmp_path)
    assert again.has(text_keys("", ["a", "b"])).tolist() == [False, True]
    assert f"{record.name} is damaged" in capsys.readouterr().err
    fill(again, ["a"])
    assert Space(INGREDIENTS, tmp_path).has(text_keys("", ["a", "b"])).all()
    assert upkeep.prune(tmp_path) > 0 and capsys.readouterr().err == ""


def test_a_damaged_manifest_is_said_and_made_anew(tmp_path, capsys):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])
    (space.folder / "manifest.json").write_text("{")
    again = Space(INGREDIENTS, tmp_path)
    assert again.has(text_keys("", ["a"])).all()
    assert "manifest.json is damaged" in capsys.readouterr().err
    fill(again, ["b"])
    assert next(upkeep.spaces(tmp_path)).ingredients == INGREDIENTS


def test_prune_frees_what_no_record_names(tmp_path):
    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])
    orphan = space.folder / "0123.dense.npy"
    orphan.write_bytes(b"x" * 1000)
    assert upkeep.prune(tmp_path) == 1000
    assert not orphan.exists()
    assert upkeep.verify(tmp_path) == []
    upkeep.prune(tmp_path, matching="OWNER/name")
    assert not space.folder.exists()


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    from embedlab.encoding.vectors import shards
    from embedlab.errors import UserError

    space = Space(INGREDIENTS, tmp_path)
    fill(space, ["a"])

    def full(file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    files = set(space.folder.iterdir())

    monkeypatch.setattr(shards.np, "save", full)
    with pytest.raises(UserError, match="No space left"):
        fill(space, ["b"])
    monkeypatch.undo()
    assert set(space.folder.iterdir()) == files
    assert Space(INGREDIENTS, tmp_path).has(text_keys("", ["a", "b"])).tolist() == [True, False]
