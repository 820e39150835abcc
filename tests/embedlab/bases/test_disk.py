"""What bases take on disk, through the command line."""

import json

import pytest
from filelock import FileLock

from embedlab.bases import folders


@pytest.mark.effect("cache prune --base")
def test_bases_are_shown_and_removed(small_base, home, cli):
    name = f"{small_base.name}@layers=1"
    folder = folders.folder(f"{small_base}@layers=1")
    half = folder.parent / ".0123456789abcdef.part"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"x" * 1000)
    taken = sum(path.stat().st_size for path in folder.iterdir())
    code, out, _ = cli("cache", "du", "--json")
    assert code == 0 and json.loads(out) == {
        "bytes": {},
        "bases": {name: taken + 1000},
        "exports": {},
        "corpora": {},
    }
    assert f"base {name}" in cli("cache", "du")[1]
    with FileLock(folder.parent / "lock"):  # somebody is writing
        cli("cache", "prune", "--base", "layers")
    assert half.is_dir() and folder.is_dir()
    cli("cache", "prune")
    assert not half.exists() and folder.is_dir()
    code, _, err = cli("cache", "prune", "--base", "nowhere")
    assert code == 2 and "Unknown base on disk 'nowhere'" in err and folder.is_dir()
    assert cli("cache", "prune", "--base", "LAYERS=1")[0] == 0
    assert not folder.exists()
    assert json.loads(cli("cache", "du", "--json")[1])["bases"] == {}
    assert folders.folder(f"{small_base}@layers=1") == folder
