"""Methods from outside: an installed package's entry point,
and a file named on the command line.
"""

import numpy as np
import pytest
from checkpoints import write_backbone

from embedlab.encoders.methods import from_file, method
from embedlab.errors import UserError

MODULE = """
from dataclasses import dataclass

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

FOLDER = {folder!r}


@dataclass
class Settings:
    pooling: str = "max"


class Encoder(SentenceTransformer):
    def __init__(self, source=FOLDER, *, device=None, dtype=None, **settings):
        pooling = Settings(**settings).pooling
        super().__init__(modules=[Transformer(str(source)), Pooling(64, pooling)], device=device)


def load(source, *, revision=None, device=None, dtype=None, **settings):
    return Encoder(source, device=device, **settings)


def fails(**_):
    raise ZeroDivisionError("the plugin divides")


def exits(**_):
    raise SystemExit("the plugin ends the program")


def wrong(**_):
    return "no model"
"""


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return write_backbone(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture
def package(tmp_path, bert, monkeypatch):
    """A package with entry points, as pip installs it."""
    (tmp_path / "our_plugin.py").write_text(MODULE.format(folder=str(bert)))
    (tmp_path / "our_broken_plugin.py").write_text("import a_package_that_nobody_has\n")
    info = tmp_path / "our_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[embedlab.encoders]\n"
        "max-of-bert = our_plugin:load\n"
        "broken = our_broken_plugin:load\n"
        "missing = our_plugin:nothing_of_this_name\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_installed_plugin_is_a_method(package, bert):
    model = method("max-of-bert").load(bert, device="cpu")
    features = model.preprocess(["are judo throws allowed"])
    tokens = model[0](dict(features))["token_embeddings"][0].tolist()
    assert np.allclose(
        model.encode("are judo throws allowed"),
        [max(column) for column in zip(*tokens, strict=True)],
    )
    assert method("max-of-bert").load(bert, device="cpu", pooling="cls")[1].pooling_mode == "cls"


def test_plugins_are_named_among_the_known_methods(package):
    with pytest.raises(UserError, match="Unknown method 'max-of-brt'") as error:
        method("max-of-brt")
    assert "max-of-bert" in error.value.hint


@pytest.mark.parametrize(
    ("name", "problem"),
    [("broken", "a_package_that_nobody_has"), ("missing", "nothing_of_this_name")],
)
def test_a_broken_plugin_gives_one_message_and_spoils_nothing(package, bert, name, problem):
    with pytest.raises(UserError, match=problem) as error:
        method(name).load(bert, device="cpu")
    assert f"plug-in '{name}' of the package our-plugin 1.0" in str(error.value) and "our_" in str(
        error.value
    )
    assert method("plain").load(bert, device="cpu").encode("a").shape == (64,)
    assert method("max-of-bert").load(bert, device="cpu").encode("a").shape == (64,)


def test_a_method_from_a_file(package):
    model = from_file(f"{package}/our_plugin.py:Encoder")(device="cpu", dtype=None)
    assert model.encode(["a", "b"]).shape == (2, 64)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("our_plugin.py:fails", "ZeroDivisionError: the plugin divides"),
        ("our_plugin.py:exits", "the plugin ends the program"),
        ("our_plugin.py:wrong", "gave a str"),
        ("our_plugin.py:Absent", "Absent"),
        ("our_broken_plugin.py:load", "a_package_that_nobody_has"),
        ("broken_syntax.py:load", "SyntaxError"),
    ],
)
def test_a_faulty_file_gives_one_message(package, spec, problem):
    (package / "broken_syntax.py").write_text("def load(:\n")
    with pytest.raises(UserError, match=problem) as error:
        from_file(f"{package}/{spec}")(device="cpu", dtype=None)
    assert error.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="There is no file") as error:
        from_file(f"{tmp_path}/none.py:Encoder")
    assert "path/to/file.py:Class" in error.value.hint


def test_a_file_that_is_no_python_is_said_so(tmp_path):
    (tmp_path / "method.txt").write_text("x = 1\n")
    with pytest.raises(UserError, match="no Python file"):
        from_file(f"{tmp_path / 'method.txt'}:x")()
