"""Where texts and labels come from: MTEB, BEIR folders,
a local mirror, and the built-in benchmarks.

A task is named by

* MTEB's name of it (`SciFact`) or of a benchmark (`"MTEB(eng, v2)"`);
* a benchmark in data/benchmarks/ (`stdlib`, `stdlib-mini`, `stdlib-long`) or one of its tasks
  (`StdlibCodeSearch`);
* the path of a BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`). Where its
  content is that of an MTEB data set, whatever the folder's name, the task is MTEB's, with its
  prompts and metrics. Any other folder is a task of its own, named `FOLDER@HASH` after its content,
  so that no two contents and no official task share a name.

`--data-dir DIR` is a local mirror of MTEB's data sets, one entry per task. The entry is named like
the task, in any case; the task type at the end of the name may be left out, and the name of the hub
repository will do (`Banking77`, `banking77`, `banking77-classification`). An entry is

    <Task>/corpus.jsonl queries.jsonl qrels/<split>.tsv [top_ranked.jsonl]    retrieval, reranking:
    a BEIR folder <Task>/test.tsv                  score, sentence1, sentence2              STS
    <Task>/test.tsv                  label, sentence1, sentence2              pair classification
    (label 0 or 1) <Task>/train.csv, test.csv       text, label
    classification (label a word or a number) <Task>/test.csv                  text, label
    clustering <Task>/test.tsv                  sentence1, sentence2                     bitext
    mining (line by line parallel) <Task>/test.jsonl                mteb's own columns
    summarisation, several labels per text

Each table may be .tsv (no quoting), .csv (quoted) or .jsonl, with further columns, in a subfolder,
or flat in DIR as `<Task>.tsv`, `<Task>-test.tsv`, `<Task>.train.csv`. Tasks with several languages
keep each in `<Task>/<subset>/`. A mirror holds the data as MTEB evaluates them, after its own
sampling. Local files keep MTEB's revision only if every split that the task uses (also the one that
classifiers are trained on) agrees with MTEB's published statistics: texts, labels, judgements.
Otherwise the revision is a hash of the files, and scores are recorded as `Banking77@HASH`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedlab.errors import UserError

if TYPE_CHECKING:
    from mteb import AbsTask


def resolve(
    names: Sequence[str],
    *,
    data_dir: Path | None = None,
    split: str | None = None,
    ignore_identical_ids: bool = False,
) -> "list[AbsTask]":
    """The tasks (`mteb.AbsTask`, not loaded) of the given names, each once, in order.

    A task made of other tasks (`CQADupstackRetrieval`) stands for those.

    Args:
        names: tasks, benchmarks, BEIR folders, as in the module's description.
        data_dir: a local mirror; tasks that it lacks come from the hub.
        split: the split to evaluate instead of the task's own.
        ignore_identical_ids: on BEIR folders of one's own, drop documents that have the query's id.

    Raises:
        UserError: a name is unknown, a task has modalities other than text, a folder does not
            exist, or identical ids are to be ignored where the task says otherwise.
    """
    from embedlab.hub import settle
    from embedlab.tasks import catalogue, local_files

    if data_dir is not None:
        local_files.check_mirror(Path(data_dir))
    if not all(catalogue.is_here(name) for name in names):
        settle()  # before mteb is imported, whose libraries read then whether they are offline
    tasks: dict[tuple[str | Path, ...], AbsTask] = {}
    for name in names:
        for task in catalogue.find(name, split=split, ignore_identical_ids=ignore_identical_ids):
            if ignore_identical_ids and not getattr(task, "ignore_identical_ids", False):
                raise UserError(
                    "--ignore-identical-ids is for BEIR folders of one's own;"
                    f" {task.metadata.name} says itself whether a query may find the document of"
                    " its own id.",
                    "Leave the option out.",
                )
            if split:
                task.filter_eval_splits([split])
            if (
                data_dir is not None
                and not hasattr(task, "sources")
                and not local_files.attach(task, Path(data_dir))
            ):
                vars(task)["looked_in"] = Path(data_dir)
            tasks.setdefault((task.metadata.name, *getattr(task, "sources", ())), task)
    return list(tasks.values())


def is_mirrored(task: "AbsTask", data_dir: Path) -> bool:
    """Whether the task reads its data from the mirror `data_dir`."""
    return any(source.is_relative_to(data_dir) for source in getattr(task, "sources", ()))


def recorded_name(task: "AbsTask") -> str:
    """The name under which scores of a loaded task are recorded:
    MTEB's only where its data are MTEB's.
    """
    from embedlab.tasks.local_files import name_of_own

    name = task.metadata.name
    return name_of_own(name, task.metadata.revision) if getattr(task, "unofficial", False) else name


def load(task: "AbsTask") -> "AbsTask":
    """Load the data of `task`, in place; returns it.

    Raises:
        UserError: whatever went wrong: the hub cannot be reached, a file or split is missing, a
            line is malformed.
    """
    try:
        if not hasattr(task, "sources"):
            _heed_the_hub()
        task.load_data()
        if hasattr(task, "convert_v1_dataset_format_to_v2"):
            task.convert_v1_dataset_format_to_v2(num_proc=None)
    except UserError:
        raise
    except Exception as error:
        raise _explained(task, error) from error
    return task


def _heed_the_hub() -> None:
    """Keep the hub's libraries from retrying for half a minute what cannot be reached,
    even when imported before.
    """
    import datasets.config
    import huggingface_hub.constants

    from embedlab.hub import settle

    if not settle():
        datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True


def _explained(task: "AbsTask", error: Exception) -> UserError:
    name = task.metadata.name
    if isinstance(error, OSError) and hasattr(task, "sources"):
        return UserError(
            f"The data of {name} cannot be read: {error}.", "Check the file and its permissions."
        )
    if isinstance(error, OSError):
        # Covers requests', httpx' and huggingface_hub's errors of connection.
        return UserError(
            _looked(task)
            + f"The data set {task.metadata.dataset['path']} of {name} cannot be had from the hub:"
            f" {error}.",
            "What works offline: stdlib, stdlib-mini, stdlib-long, a BEIR folder's path, and "
            f"--data-dir DIR with {_expected(task)}. `embedlab tasks --help` describes the layout.",
        )
    return UserError(
        f"{name} cannot be loaded: {type(error).__name__}: {error}.",
        f"Its splits: {', '.join(task.metadata.eval_splits)}. --debug shows the traceback.",
    )


def _looked(task: "AbsTask") -> str:
    """Where a mirror was searched for the task, and for what; empty where there was none."""
    from embedlab.tasks import local_files

    if not hasattr(task, "looked_in"):
        return ""
    names = " or ".join(sorted(local_files.known_as(task)))
    return (
        f"{task.looked_in.absolute()} has no entry for {task.metadata.name}: no folder or table"
        f" there is named {names} (in any case, with any dots and dashes). "
    )


def _expected(task: "AbsTask") -> str:
    """The files of a mirror that would hold this task."""
    from mteb.abstasks import AbsTaskRetrieval

    from embedlab.tasks import labelled_tables, local_files

    name = task.metadata.name
    if isinstance(task, AbsTaskRetrieval):
        files = [
            "corpus.jsonl",
            "queries.jsonl",
            *(f"qrels/{split}.tsv" for split in task.eval_splits),
        ]
        files += ["top_ranked.jsonl"] if "Reranking" in task.metadata.type else []
        return f"DIR/{name}/ holding {', '.join(files)}"
    tables = " and ".join(f"DIR/{name}/{split}.tsv" for split in local_files.splits(task))
    return f"{tables} (columns {', '.join(labelled_tables.columns(task))})"
