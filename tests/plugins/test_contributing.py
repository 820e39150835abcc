"""CONTRIBUTING.md, followed:
an encoder, an index and a metric are added to a copy of the tree, file by file.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests import ready

ROOT = Path(__file__).parents[2]
STEPS = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TASK = "StdlibMiniCodeSearch"

ENCODER = '''
"""The signs of another model's dimensions, roughly."""

import torch
from sentence_transformers.base.modules import Module

from embedlab.encoders import stock


class Signs(Module):
    config_keys = ["sharpness"]

    def __init__(self, sharpness):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, features, **kwargs):
        if self.sharpness:
            vectors = features["sentence_embedding"]
            features["sentence_embedding"] = torch.tanh(self.sharpness * vectors)
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


def load(source, *, revision=None, device=None, dtype=None, sharpness: float = 10.0):
    model = stock.load(source, revision=revision, device=device, dtype=dtype)
    model.append(Signs(sharpness))
    return model
'''
CARD = """
method = "my-method"
checkpoint = "base-mean"
description = "A toy."
dim = 160
max_length = 64
attention = "causal"
pooling = "mean"
similarity = "cosine"
"""
METRIC = '''
def first_two(found: Relevance, k: int) -> np.ndarray:
    """The relevant share of the best two."""
    return (found.gains[:, : min(k, 2)] > 0).sum(axis=1) / 2


METRICS = {
    "first_two": Metric(first_two, "First2"),
'''


def section(title: str) -> str:
    return STEPS.partition(f"\n## {title}")[2].partition("\n## ")[0]


class Tree:
    """A copy of the packages and their data; `named` is the section that is being followed."""

    def __init__(self, root: Path, home: Path):
        self.root, self.home, self.named, self.touched = root, home, "", []
        for name in ("embedlab", "retrievers", "leaderboard"):
            shutil.copytree(ROOT / name, root / name)  # what is compiled of them serves here too
        (root / "data").mkdir()
        for path in (ROOT / "data").iterdir():
            if path.name == "models":
                shutil.copytree(path, root / "data" / "models")
            else:
                (root / "data" / path.name).symlink_to(path)

    def follow(self, title: str) -> None:
        self.named = section(title)
        assert self.named, title

    def write(self, file: str, text: str) -> None:
        assert f"`{file}`" in self.named and not (self.root / file).exists()
        (self.root / file).write_text(text, encoding="utf-8")
        self.touched.append(file)

    def change(self, file: str, old: str, new: str) -> None:
        """What stands behind `name = ` begins with something more;
        the section says which file and which name.
        """
        text = (self.root / file).read_text(encoding="utf-8")
        assert (
            f"`{file}`" in self.named
            and f"`{old.split(' ')[0]}`" in self.named
            and text.count(f"\n{old}\n") == 1
        )
        (self.root / file).write_text(text.replace(f"\n{old}\n", f"\n{new}\n"), encoding="utf-8")
        self.touched.append(file)

    def run(self, *arguments: str) -> str:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "EMBEDLAB_HOME": str(self.home),
        }
        done = ready.run("-m", "embedlab", *arguments, env=environment, cwd=self.root)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory, new_home):
    tree = Tree(tmp_path_factory.mktemp("tree"), new_home())
    tree.follow("Add a method")
    tree.write("embedlab/encoders/my_method.py", ENCODER)
    tree.change(
        "embedlab/encoders/methods.py",
        "METHODS = {",
        'METHODS = {\n    "my-method": "embedlab.encoders.my_method",',
    )
    tree.write("data/models/my-model.toml", CARD)
    tree.follow("Add an index")
    example = ROOT / "examples" / "plugin" / "src" / "embedlab_example" / "index.py"
    assert str(example.relative_to(ROOT)) in tree.named
    index = (
        example.read_text(encoding="utf-8")
        .replace('"numpy"', '"my-index"')
        .replace("NumpyIndex", "MyIndex")
    )
    tree.write("retrievers/indexes/my_index.py", index)
    family = '    "my-index": "retrievers.indexes.my_index:MyIndex",'
    tree.change("retrievers/registry.py", "FAMILIES = {", f"FAMILIES = {{\n{family}")
    tree.change("retrievers/registry.py", "SPECS = (", 'SPECS = (\n    "my-index",')
    tree.follow("Add a metric")
    tree.change("leaderboard/ranking_metrics.py", "METRICS = {", METRIC.strip("\n"))
    tree.run(
        "eval", "--model", "my-model", "--index", "my-index,faiss:flat", "--task", TASK,
        "--dtype", "float32",
    )  # fmt: skip
    return tree


def test_what_was_added_is_measured(tree):
    rows = {}
    for metric in ("ndcg@10", "First2@10"):
        table = json.loads(tree.run("leaderboard", "--metric", metric, "--views", "--json"))
        rows[metric] = {(row["model"], row["index"]): row["mean"] for row in table["rows"]}
        assert set(rows[metric]) == {("my-model", "my-index"), ("my-model", "faiss:flat")}
        assert len(set(rows[metric].values())) == 1  # both indexes are exact
    assert 0.3 < rows["ndcg@10"]["my-model", "my-index"] < 0.6
    # One document is relevant to a query.
    assert 0 < rows["First2@10"]["my-model", "my-index"] <= 0.5


def test_few_files_were_touched(tree):
    assert len(set(tree.touched)) == 6


def test_the_other_sections_name_what_is_there():
    for title, names in {
        "Add a task": ["data/benchmarks/my-benchmark.toml", "embedlab/tasks/stdlib.py"],
        "Add a page": ["app/screens/my_page.py", "app/main.py", "app/reading.py"],
        "Add an option": ["embedlab/options.py"],
    }.items():
        assert all(f"`{name}`" in section(title) for name in names), title
