"""The folder of indexes: what is found in it, and that nothing outside is."""

import pytest

import retrievers
from app import indexes
from retrievers.errors import RetrieverError


def _index(path):
    import numpy as np

    retrievers.make("torch").index(["a"], np.ones((1, 4), np.float32)).save(path)


def test_indexes_are_found_inside_alone(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for path in (inside / "one", inside / "group" / "two", inside / ".partial" / "three", outside / "four"):
        path.parent.mkdir(parents=True, exist_ok=True)
        _index(path)
    (inside / "link").symlink_to(outside / "four")
    (inside / "group" / "up").symlink_to(tmp_path)
    assert list(indexes.saved(inside)) == ["one", "group/two"]
    assert indexes.saved(tmp_path / "nowhere") == {}


def test_a_broken_index_is_an_error_with_a_hint(tmp_path):
    _index(tmp_path / "one")
    (tmp_path / "one" / "vectors.npy").unlink()
    with pytest.raises(RetrieverError, match="half-written") as caught:
        indexes.load(tmp_path / "one")
    assert caught.value.hint
