"""`embedlab.evaluate`: models on tasks, from Python."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from embedlab.api.results import Results
from embedlab.errors import UserError
from embedlab.evaluation.request import Request
from embedlab.evaluation.run import Outcome
from embedlab.evaluation.run import evaluate as run
from embedlab.evaluation.shares import store_of
from embedlab.models import LoadedModel, objects
from embedlab.models.cards import expand
from embedlab.options import GROUPS, ShareOptions
from embedlab.progress import Reporter

OPTIONS = {each.name for group in GROUPS.values() for each in fields(group)}


def evaluate(
    models: Any,
    tasks: str | Path | Sequence[str | Path],
    *,
    indexes: Sequence[str] = (),
    layers: Sequence[int | None] = (None,),
    dims: Sequence[int | None] = (None,),
    precisions: Sequence[str] = ("float32",),
    diagonal: bool = False,
    force: bool = False,
    chunks: Sequence[str] = (),
    trust_remote_code: bool = False,
    device: str | None = None,
    dtype: str = "auto",
    store_dtype: str = "float32",
    batch_tokens: int | None = None,
    workers: int | None = None,
    compiled: bool = False,
    in_flight: int = 8,
    batch_texts: int = 64,
    budget: float | None = None,
    top_k: int | None = None,
    split: str | None = None,
    ignore_identical_ids: bool = False,
    seed: int | None = None,
    data_dir: str | Path | None = None,
    measures: Sequence[str] = (),
    array: str | None = None,
    cluster: str | None = None,
    db: str | Path | None = None,
    progress: bool = True,
) -> Results:
    """Evaluate models on tasks: encode once, search, score, record.

    Args:
        models: one or a list of: a name as `embedlab eval --model` takes it (a card, a hub id, a
            folder, a composition such as "rrf(bm25, all-minilm-l6-v2)"); a model of
            sentence-transformers; an object of one of mteb's protocols; any object with
            `encode(texts)`, or `encode_query` and `encode_document`; a function from a list of
            texts to an array `[n, d]`. A dict gives objects names: {"my-model": function}. Vectors
            of objects of the last two kinds are compared by cosine, or by their
            `similarity_fn_name`, and are never kept: nobody knows when such an object has changed.
            mteb's protocols are evaluated through mteb, with its own search.
        tasks: one or a list of: MTEB's tasks and benchmarks, the built-in ones, paths of BEIR
            folders.
        indexes: what is searched through, such as ["faiss:flat", "faiss:hnsw32"]; by default each
            model's own.
        layers: layers to see, from 1; None is the last.
        dims: dimensions to cut the vectors to; None is all.
        precisions: "float32", "float16", "int8", "binary".
        diagonal: the (layer, dimension) pairs that the method was trained for, in place of `layers`
            and `dims`.
        force: also views that the method was not trained for, and checkpoints that do not fit their
            model.
        chunks: ways to cut the documents of retrieval tasks, such as ["none",
            "tokens:size=128,overlap=16", "sentences:over=mean"]; whole by default.
        trust_remote_code: run the Python code that a model's folder or repository brings.
        device: of models given by name: "cpu", "cuda:1"; None takes a GPU where there is one.
        dtype: of models given by name: "auto", "float32", "bfloat16", "float16".
        store_dtype: of the vectors on disk, "float32" or "float16".
        batch_tokens: tokens that go through a model at once.
        workers: copies of a model that encode side by side.
        compiled: let torch compile a model's layers.
        in_flight: requests to a server at once.
        batch_texts: the most texts in one request to a server.
        budget: US dollars that may be spent on servers with a known price.
        top_k: documents retrieved per query, the task's largest cut-off by default.
        split: another split than the tasks' own.
        ignore_identical_ids: on a BEIR folder of one's own, drop from a query's results the
            document of its id.
        seed: of tasks that draw at random, such as the examples of a classifier; mteb's 42 by
            default.
        data_dir: a local mirror of MTEB's data sets.
        measures: further measures of rankings, of any that ir_measures computes: "ERR@20",
            "Bpref", "RBP(p=0.9,rel=1)", "nDCG@7".
        array: the share of the plan, models by tasks, that is done here: "0/3" of three processes
            that make the same call but for this (`embedlab merge` joins their stores); "slurm" in
            an array job of Slurm's.
        cluster: workers of Ray's that encode, and evaluate several models and tasks at once:
            "local:4" on this machine, "auto" or "ray://HOST:10001" for a cluster that runs.
        db: the results store; EMBEDLAB_HOME/results.duckdb by default, and results-0-of-3.duckdb of
            a share.
        progress: show bars and notes on standard error.

    Returns:
        The results of this evaluation; `results(db)` has all that the store holds. Where some
        evaluations failed, a warning says so, and `Results.failures` has them.

    Raises:
        UserError: something in the request is unknown or has no effect; then nothing has run. Or
            every evaluation failed.

    >>> import numpy as np
    >>> def letters(texts):  # how often each letter comes: a function is a model
    ...     return np.array([[text.lower().count(each) for each in "etaoinshr"] for text in texts])
    >>> results = embedlab.evaluate(["bm25", letters], "StdlibMiniCodeSearch", progress=False)
    >>> results.leaderboard()["model"].tolist()
    ['bm25', 'letters']
    """
    arguments, given = locals(), dict[str, LoadedModel]()
    names = [_named(model, name, given) for name, model in _listed(models)]
    options = {name: value for name, value in arguments.items() if name in OPTIONS}
    path = Path(db) if db else store_of(ShareOptions(array).array)
    request = Request.of(
        expand(names),
        [str(task) for task in ([tasks] if isinstance(tasks, str | Path) else tasks)],
        db=path,
        **options,
    )
    if not request.models or not request.tasks:
        raise UserError(
            "evaluate needs a model and a task.",
            'For example: embedlab.evaluate("bm25", "stdlib-mini")',
        )
    outcome = run(request, Reporter(path, quiet=not progress), given)
    _heed_failures(outcome)
    return Results(path, tuple(outcome.runs), tuple(outcome.failures))


def _listed(models: Any) -> list[tuple[str, Any]]:
    """(name, model) of each; an empty name where the model has its own."""
    if isinstance(models, Mapping):
        return list(models.items())
    return [
        ("", model) for model in (models if isinstance(models, list | tuple | set) else [models])
    ]


def _named(model: Any, name: str, given: dict[str, LoadedModel]) -> str:
    """The name of a model; an object's loaded model is put under it in `given`."""
    if isinstance(model, str | Path):
        if model == "":
            raise UserError("A model's name is empty.", "Type `embedlab models` for all.")
        if name and name != str(model):
            raise UserError(
                f"{str(model)!r} is a name already.", f"Leave {name!r} out: names are for objects."
            )
        return str(model)
    loaded = objects.load(model, name)
    if loaded.name in given:
        raise UserError(
            f"Two models are named {loaded.name!r}.", 'Name them: {"first": model, "second": model}'
        )
    given[loaded.name] = loaded
    return loaded.name


def _heed_failures(outcome: Outcome) -> None:
    if not outcome.failures:
        return
    first = outcome.failures[0]
    if not outcome.runs:
        raise UserError(f"{first.model} on {first.task} failed: {first.problem}", first.hint)
    number, all_of_them = len(outcome.failures), len(outcome.failures) + len(outcome.runs)
    warnings.warn(
        f"{number} of {all_of_them} evaluations failed, the first of them {first.model} on"
        f" {first.task}: {first.problem} See the results' `failures`.",
        stacklevel=3,
    )
