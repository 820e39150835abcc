"""Packages that are broken, or take a name of ours:
one message that names them, only where they are used.
"""

import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from embedlab.encoders.methods import METHODS, registered
from embedlab.errors import UserError
from embedlab.evaluation import metrics
from embedlab.evaluation.depth import is_within
from leaderboard import measures, plugins
from retrievers import registry
from retrievers.errors import RetrieverError

SOUND = """
import numpy as np
from leaderboard.metric import Metric
from retrievers.indexes.exact import TorchIndex


def load(source, *, device=None, dtype=None, depth=3):
    raise ZeroDivisionError("divided")


class Torch(TorchIndex):
    family = "flat"


def constant(value, shape=None):
    return Metric(lambda found, k: np.full(shape or len(found.gains), value), shown="One")


one, wrong, nan = constant(1.0), constant(1.0, (1, 2)), constant(np.nan)
deep = Metric(lambda found, k: (found.gains > 0).sum(axis=1) / max(k, 1), cut=False)


def fails(*_):
    raise ZeroDivisionError("divided")


failing = Metric(fails)
NUMBER = 3
"""
ABSENT = "import a_package_that_nobody_has"


@pytest.fixture
def mixed(package):
    """A package whose every kind of plug-in is broken in every way, beside sound ones."""
    names = {"absent": "absent:it", "missing": "sound:nothing", "number": "sound:NUMBER"}
    indexes = dict.fromkeys(("faiss", "faiss:flat", "flat", "other-name", "fusion"), "sound:Torch")
    scores = dict.fromkeys(("ndcg", "ap", "main", "one", "a_at_1"), "sound:one") | {
        "deep": "sound:deep"
    }
    return package(
        "strange-things",
        {"sound": SOUND, "absent": ABSENT},
        encoders={**names, "plain": "sound:load", "bm25": "sound:load", "needy": "sound:load"},
        indexes={**names, **indexes},
        metrics={**names, **scores},
        pages={**names, "costs": "sound:fails", "fails": "sound:fails"},
    )


def test_none_replaces_one_of_ours(mixed):
    assert (
        registered()["plain"].plugin is None
        and "bm25" not in registered()
        and set(METHODS) < set(registered())
    )
    assert type(registry.make("faiss:flat")).__module__.startswith("retrievers.")
    assert type(registry.make("flat")).__module__ == "sound"
    assert "fusion" not in registry.families() and "faiss:flat" not in registry.families()
    assert measures.registered()["ndcg"].shown == "nDCG" and measures.stored("AP@5") == "map_at_5"
    assert measures.stored("main") == "main" and measures.shown("one_at_5") == "One@5"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent", "a_package_that_nobody_has"),
        ("missing", "nothing"),
        ("number", "is a int, not a function"),
    ],
)
def test_a_broken_encoder_is_one_message(mixed, cli, home, name, problem):
    code, _, said = cli("eval", "--model", name, "--task", "StdlibMiniCodeSearch")
    assert code == 2 and problem in said and "of the package strange-things 1.0" in said
    assert "pip uninstall strange-things" in said and "Traceback" not in said


def test_a_method_that_loads_files_says_so(mixed, cli, home):
    code, _, said = cli("eval", "--model", "needy", "--task", "StdlibMiniCodeSearch")
    assert code == 2 and "FOLDER?method=needy" in said


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent", "a_package_that_nobody_has"),
        ("missing", "nothing"),
        ("number", "is no class below"),
        ("other-name", "calls its family 'flat'"),
    ],
)
def test_a_broken_index_is_one_message(mixed, name, problem):
    with pytest.raises(RetrieverError, match=problem) as error:
        registry.make(name)
    assert (
        "strange-things 1.0" in str(error.value)
        and "pip uninstall strange-things" in error.value.hint
    )
    assert registry.make("torch") and registry.make("flat")


@pytest.mark.parametrize(
    ("name", "problem"), [("absent", "a_package_that"), ("missing", "nothing"), ("number", "int")]
)
def test_a_broken_metric_is_said_and_left_out(mixed, name, problem):
    assert name not in measures.registered() and measures.stored("ndcg@10") == "ndcg_at_10"
    with pytest.raises(plugins.LeaderboardError, match=problem) as error:
        measures.stored(f"{name}@10")
    assert "strange-things 1.0" in str(error.value)


JUDGED = metrics.judge({"q": {"a": 1}, "r": {"b": 1}}, ["q", "r"], ["a", "b"])


@pytest.mark.parametrize(
    ("which", "problem"), [("wrong", "no 2 finite"), ("nan", "no 2 finite"), ("failing", "divid")]
)
def test_a_metric_that_gives_no_scores_is_one_message(package, which, problem):
    package("strange-things", {"sound": SOUND}, metrics={"odd": f"sound:{which}"})
    with pytest.raises(UserError, match=problem) as error:
        metrics.evaluate(np.array([[0, 1], [1, 0]], np.int32), JUDGED, [1])
    assert "strange-things 1.0" in str(error.value)


def test_a_metric_without_a_cutoff_needs_the_whole_ranking(package):
    package("strange-things", {"sound": SOUND}, metrics={"deep": "sound:deep"})
    rows = np.array([[0, 1], [0, -1]], np.int32)
    assert metrics.evaluate(rows, JUDGED, [1])["deep"].tolist() == [0.5, 0.0]
    assert "deep" not in metrics.evaluate(rows, JUDGED, [1], whole=False)
    assert (
        is_within("ndcg_at_5", 5) and not is_within("ndcg_at_5", 4) and not is_within("deep", 1000)
    )
    assert measures.stored("Deep") == "deep" and measures.shown("deep") == "deep"


def test_doctor_says_which_load(mixed, example_package, installed, cli, home):
    installed(example_package)
    code, out, _ = cli("doctor", "--json")
    found = {line["subject"]: line for line in json.loads(out)["findings"]}
    assert code == 0
    for name in ("encoder trigrams", "index numpy", "metric rbp", "page hardest"):
        assert found[name]["state"] == "ok" and "embedlab-example 0.1.0" in found[name]["detail"], (
            name
        )
    for name in ("index flat", "metric one", "metric deep", "page fails"):
        assert found[name]["state"] == "ok" and "strange-things 1.0" in found[name]["detail"], name
    for kind, names in {
        "encoder": ["plain", "bm25"],
        "index": ["faiss", "faiss:flat", "fusion"],
        "metric": ["ndcg", "ap", "main"],
        "page": ["costs"],
    }.items():
        for name in names:
            assert "taken by embedlab" in found[f"{kind} {name}"]["detail"]
        assert found[f"{kind} absent"]["state"] == "off"
        assert "a_package_that_nobody_has" in found[f"{kind} absent"]["detail"]
        assert "pip uninstall strange-things" in found[f"{kind} missing"]["mend"]


PAGE = """
from app import plugin_pages
for page in plugin_pages.pages({{"costs"}}):
    if page.url_path == {name!r}:
        page._page()
"""


@pytest.mark.parametrize(
    ("name", "problem"), [("absent", "nobody_has"), ("fails", "ZeroDivisionError: divided")]
)
def test_a_broken_page_is_one_message(mixed, name, problem):
    page = AppTest.from_string(PAGE.format(name=name), default_timeout=60).run()
    [error] = page.exception
    assert problem in error.message and "strange-things 1.0" in error.message
