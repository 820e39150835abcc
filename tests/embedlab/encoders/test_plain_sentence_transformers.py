"""Saved models in plain sentence-transformers:
stock ones load without embedlab, ours say what to install.
"""

import inspect
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from checkpoints import write_backbone
from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder

from embedlab.encoders import stock
from embedlab.encoders.modules.decoder import Decoder
from embedlab.errors import UserError
from embedlab.resources import DATA
from tests import ready

CHECKPOINTS = sorted(path.parent for path in (DATA / "checkpoints").glob("*/modules.json"))
STOCK = [
    folder for folder in CHECKPOINTS if "embedlab" not in (folder / "modules.json").read_text()
]

# An environment without embedlab: whatever asks for it finds nothing.
HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "embedlab":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""


# Each folder by its class, as it comes and trusted; what came of it, by folder and way.
LOAD = """
import json
import sentence_transformers

def load(folder, trust):
    kind = json.load(open(folder + "/config_sentence_transformers.json"))["model_type"]
    return getattr(sentence_transformers, kind)(folder, device="cpu", trust_remote_code=trust)

found = {}
def note(folder, way, trust):
    try:
        vectors = load(folder, trust).encode(["return the sum"])
        rows = vectors.to_dense() if hasattr(vectors, "to_dense") else vectors
        found[f"{folder} {way}"] = [row.tolist() for row in rows]
    except Exception as error:
        found[f"{folder} {way}"] = str(error)
"""


def run(code: str) -> dict:
    """What a process of its own prints as JSON in its last line."""
    answer = ready.run("-c", code)
    assert answer.returncode == 0, answer.stderr[-2000:]
    return json.loads(answer.stdout.splitlines()[-1])


def test_starbucks_and_the_other_bert_models_are_stock():
    assert {folder.name for folder in STOCK} == {
        "2dmse", "base-encoder", "colbert", "mrl", "starbucks",
    }  # fmt: skip


def test_without_embedlab_stock_models_load_and_the_others_say_what_to_type(tmp_path):
    from embedlab.encoders.modules.matryoshka import trained_views

    found = run(
        f"{HIDDEN}{LOAD}\nfor folder in {list(map(str, CHECKPOINTS))!r}:\n    note(folder, 'plain',"
        f" False); note(folder, 'trusted', True)\nload({str(DATA / 'checkpoints' / 'starbucks')!r},"
        f" False).save({str(tmp_path / 'again')!r})\nprint(json.dumps(found))"
    )
    for folder in CHECKPOINTS:
        for way, words in (("plain", "pip_install_embedlab"), ("trusted", "pip install embedlab")):
            answer = found[f"{folder} {way}"]
            if folder in STOCK:
                kind = MultiVectorEncoder if folder.name == "colbert" else SentenceTransformer
                here = kind(str(folder), device="cpu").encode(["return the sum"])
                assert np.allclose(answer, here, atol=1e-5)
            else:
                assert words in answer, (folder, answer)
    # They survive where we are not.
    views = trained_views(SentenceTransformer(str(tmp_path / "again"), device="cpu"))
    assert views == trained_views(
        SentenceTransformer(str(DATA / "checkpoints" / "starbucks"), device="cpu")
    )
    assert len(views) > 1


def test_with_embedlab_trust_or_one_import_is_enough(home, real_bases):
    home.mkdir()
    (home / "bases").symlink_to(real_bases)
    ours = [str(folder) for folder in CHECKPOINTS if folder not in STOCK]
    found = run(
        f"{LOAD}\nfor folder in {ours!r}:\n    note(folder, 'trusted', True)\n"
        "import embedlab.encoders.trust\n"
        f"for folder in {ours!r}:\n    note(folder, 'imported', False)\n"
        "print(json.dumps(found))"
    )
    for folder in ours:
        assert np.allclose(found[f"{folder} imported"], found[f"{folder} trusted"], atol=1e-6)


def test_every_module_of_ours_is_known_by_its_class():
    from sentence_transformers.base.modules import Module

    from embedlab.encoders import trust

    room = Path(trust.__file__).parent
    places = [
        path.relative_to(room).with_suffix("")
        for path in room.rglob("*.py")
        if path.stem != "__init__"
    ]
    files = [".".join(place.parts) for place in places]
    named = {}
    for file in files:
        for name, value in vars(import_module(f"embedlab.encoders.{file}")).items():
            own = isinstance(value, type) and issubclass(value, Module)
            here = own and value.__module__ == f"embedlab.encoders.{file}"
            if here and not inspect.isabstract(value):
                named[name] = file
    assert named == trust.MODULES


def test_what_we_save_says_what_it_needs(tmp_path):
    from embedlab.encoders.trust import save_model

    splade = SparseEncoder(str(DATA / "checkpoints" / "mistral-splade"), device="cpu")
    before = splade.encode(["return the sum"]).to_dense().numpy()
    save_model(splade, tmp_path / "splade")
    assert {
        module["type"] for module in json.loads((tmp_path / "splade/modules.json").read_text())
    } == {
        "pip_install_embedlab.EchoDecoder",
        "pip_install_embedlab.LexicalHead",
    }
    assert "SparseEncoder(" in (tmp_path / "splade/pip_install_embedlab.py").read_text()
    again = (
        SparseEncoder(str(tmp_path / "splade"), device="cpu")
        .encode(["return the sum"])
        .to_dense()
        .numpy()
    )
    assert np.allclose(before, again, atol=1e-6)
    save_model(
        SentenceTransformer(str(DATA / "checkpoints" / "mrl"), device="cpu"), tmp_path / "mrl"
    )
    assert not (tmp_path / "mrl/pip_install_embedlab.py").exists()
    splade.save(str(tmp_path / "as it is"))  # without our help it still loads
    SparseEncoder(str(tmp_path / "as it is"), device="cpu")


def test_only_what_pools_can_leave_the_prompt_out(tmp_path):
    with pytest.raises(UserError, match="does not pool its prompt"):
        stock.load(
            write_backbone(tmp_path, "bert"), device="cpu", kind="cross", include_prompt=False
        )


def test_a_module_without_its_folder_is_said_so(tmp_path):
    with pytest.raises(UserError, match="no folder '0_Decoder'"):
        Decoder.load(str(tmp_path), "0_Decoder")
