"""Every option of an evaluation, declared once.

A group is a dataclass. The command line is built from its fields (`embedlab.cli._groups`),
`embedlab.evaluate` takes them by their names, they travel whole to who uses them, and are recorded
whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from embedlab.array_share import Share
from embedlab.chunks.chunking import parse
from embedlab.cluster_address import ClusterAddress
from embedlab.errors import UserError, unknown
from embedlab.hardware import DTYPES
from embedlab.option_fields import OptionGroup, option
from embedlab.spending import Purse

STORE_DTYPES = ("float32", "float16", "int8")


@dataclass(frozen=True)
class LoadingOptions(OptionGroup):
    """How models are loaded that are given by name.

    Raises:
        UserError: an unknown dtype.
    """

    device: str | None = option(None, "cpu, cuda, cuda:1, mps; a GPU where there is one.")
    dtype: str = option("auto", "auto, float32, bfloat16, float16.")
    trust_remote_code: bool = option(
        False, "Run the Python code that a model's folder or repository brings."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        valid = ("auto", *DTYPES)
        if self.dtype not in valid:
            raise unknown("--dtype", self.dtype, valid, f"Valid: {', '.join(valid)}.")


def nothing_to_load() -> UserError:
    """The error for options of loading where no model has weights."""
    return UserError(
        "--device, --dtype and --trust-remote-code are for models that compute, and bm25 counts"
        " words.",
        "Leave them out.",
    )


@dataclass(frozen=True)
class ViewOptions(OptionGroup):
    """What is seen of a model's vectors, and through which indexes."""

    indexes: Sequence[str] = option(
        (),
        "faiss:flat (the default), torch, faiss:hnsw32, ...; a comma-separated list is a grid. Each"
        " model is searched through those that take what it gives, else its own: bm25 through"
        " lucene, for example.",
        flag="--index",
        form="words",
    )
    layers: Sequence[int | None] = option(
        (None,), "Layers to evaluate, e.g. 2,4,6.", form="numbers", least=1
    )
    dims: Sequence[int | None] = option(
        (None,), "Dimensions to cut to, e.g. 32,64,128.", form="numbers", least=1
    )
    precisions: Sequence[str] = option(
        ("float32",),
        "float32, float16, int8, binary; a list is a grid.",
        flag="--precision",
        form="words",
    )
    diagonal: bool = option(
        False,
        "grid: every layer with every dimension; diagonal: the pairs that the method was trained"
        " for.",
        flag="--views",
        form="grid or diagonal",
    )
    force: bool = option(
        False,
        "Also views that the method was not trained for, and checkpoints that do not fit their"
        " model; the run records it.",
    )
    chunks: Sequence[str] = option(
        (),
        "Documents of retrieval tasks in chunks: tokens:size=256,overlap=32, sentences, headings or"
        " semantic; over=max, mean or first of a document's chunks; late=yes. none: whole."
        " Repeatable, as a grid.",
        flag="--chunk",
        form="repeatable",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        ways = [each if each == "none" else parse(each) for each in self.chunks]
        if parent := next((each for each in ways if getattr(each, "parent", "")), None):
            raise UserError(
                f"--chunk {parent}: parent is what a search answers with, and changes no score.",
                "Leave parent out; embedlab index takes it.",
            )
        object.__setattr__(self, "chunks", tuple(dict.fromkeys(map(str, ways))))
        if self.indexes:
            from retrievers.registry import canonical

            object.__setattr__(self, "indexes", tuple(dict.fromkeys(map(canonical, self.indexes))))
        if self.diagonal and (any(self.layers) or any(self.dims)):
            raise UserError(
                "--views diagonal stands for the pairs that the method was trained for.",
                "Leave --layers and --dims out.",
            )

    @property
    def chunkings(self) -> list[str]:
        """The ways to cut documents, "" for none."""
        return ["" if chunk == "none" else chunk for chunk in self.chunks] or [""]

    @property
    def full(self) -> bool:
        """Whether models are seen at their full depth, width and precision only."""
        return (*self.layers, *self.dims, *self.precisions, self.diagonal) == (
            None,
            None,
            "float32",
            False,
        )


@dataclass(frozen=True)
class EncodingOptions(OptionGroup):
    """How a model's vectors are made and kept.

    Raises:
        UserError: an unknown dtype, or a number below 1.
    """

    store_dtype: str = option(
        "float32",
        "float32 or float16: dtype of the vectors on disk; for late interaction int8 too.",
    )
    batch_tokens: int | None = option(
        None, "Tokens that go through the model at once, padding included.", least=1
    )
    workers: int | None = option(
        None,
        "Copies of the model that encode side by side: by default one per GPU, or per CPU core up"
        " to 8.",
        least=1,
    )
    compiled: bool = option(
        False,
        "Let torch compile the model's layers: minutes at first, cached for later runs.",
        flag="--compile",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.store_dtype not in STORE_DTYPES:
            raise unknown(
                "--store-dtype",
                self.store_dtype,
                STORE_DTYPES,
                f"Valid: {', '.join(STORE_DTYPES)}.",
            )


@dataclass(frozen=True)
class ServerOptions(OptionGroup):
    """How models behind a server are asked.

    Raises:
        UserError: a number below the least.
    """

    in_flight: int = option(8, "Requests to a server at once.", least=1)
    batch_texts: int = option(
        64, "The most texts in one request to a server; half of it where that refuses.", least=1
    )
    budget: float | None = option(
        None,
        "US dollars that this command may spend on servers with a known price: what would cost"
        " more is refused before anything is sent.",
        least=0,
    )

    @cached_property
    def purse(self) -> Purse:
        """What pays for everything that these options are given to."""
        return Purse(self.budget)


@dataclass(frozen=True)
class TaskOptions(OptionGroup):
    """What is evaluated of a task, on which data."""

    top_k: int | None = option(
        None,
        "Documents retrieved per query, the task's largest cut-off by default; metrics beyond are"
        " left out.",
        least=1,
    )
    split: str | None = option(None, "Another split than the task's own.")
    ignore_identical_ids: bool = option(
        False,
        "On a BEIR folder of your own whose queries are documents: drop from a query's results the"
        " document of its id, as ArguAna and Quora do. The task is another one then, under another"
        " name.",
    )
    seed: int | None = option(
        None,
        "Of tasks that draw at random, such as the examples of a classifier: another one than"
        " mteb's 42. Its scores stand beside those of other seeds.",
        least=0,
    )
    data_dir: Path | None = option(
        None, "A local mirror of MTEB data sets (`embedlab tasks --help`)."
    )
    measures: Sequence[str] = option(
        (),
        'A further measure of rankings, of any that ir_measures computes: "ERR@20", "Bpref",'
        ' "RBP(p=0.9,rel=1)", "nDCG@7". Repeatable.',
        flag="--measure",
        form="repeatable",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seed is not None and self.seed >= 1 << 32:
            raise UserError(
                f"--seed {self.seed}: generators take no such number.", "Give one below 2**32."
            )
        if self.measures:
            from leaderboard.measures import requested

            names = dict.fromkeys(requested(name)[0] for name in self.measures)
            object.__setattr__(self, "measures", tuple(names))


@dataclass(frozen=True)
class ShareOptions(OptionGroup):
    """Who does the plan, models by tasks.

    Raises:
        UserError: there is no such share or cluster, or this is no array job of Slurm's.
    """

    array: str | None = option(
        None,
        "i/n, counted from 0: this process does that share of models by tasks, heavy ones spread"
        " evenly, into a store of its own, and n - 1 others with the same command do the rest"
        " (`embedlab merge`). slurm reads it from an array job.",
    )
    cluster: str | None = option(
        None,
        "local:4, auto or ray://HOST:10001: workers of Ray's encode the texts, four on this machine"
        " or those of a cluster, and several evaluations run at once.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.array is not None:
            object.__setattr__(self, "array", str(Share.read(self.array)))
        if self.cluster is not None:
            object.__setattr__(self, "cluster", str(ClusterAddress.read(self.cluster)))


@dataclass(frozen=True)
class DocumentOptions(OptionGroup):
    """Which fields of tables (csv, jsonl, parquet) documents are read from."""

    id: str = option("", "The field of a table with the documents' ids; _id or id by default.")
    text: str = option("", "The field of a table with the texts; text by default.")
    title: str = option("", "The field of a table with the titles; title by default.")
    metadata: Sequence[str] = option(
        (), "The fields of a table to keep beside; all others by default.", form="words"
    )


@dataclass(frozen=True)
class FilterOptions(OptionGroup):
    """Which documents a search may find.

    Raises:
        RetrieverError: the filter is malformed.
    """

    where: str = option(
        "", "Only documents whose metadata are so: 'year >= 2020 and lang = \"en\"'."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.where:
            from retrievers.where import parse

            parse(self.where)


@dataclass(frozen=True)
class ServingOptions(OptionGroup):
    """How an index is served."""

    host: str = option(
        "127.0.0.1",
        "The address to listen at. Any but this machine's own needs a token: EMBEDLAB_TOKEN.",
    )
    port: int = option(8600, "The port to listen at; 0 takes a free one.", least=0)
    stdio: bool = option(
        False, "MCP on standard input and output, for clients that start their servers themselves."
    )
    batch: int | None = option(
        None,
        "Texts in one pass of the model; 32 by default, 1 in half precision. 1 gives scores that"
        " are those of `embedlab search` to the last bit.",
        least=1,
    )
    max_k: int = option(1000, "The most documents that a search may ask for.", least=1)
    timeout: float = option(60.0, "Seconds until a request is answered or refused.", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.port > 65535:
            raise UserError(f"--port {self.port}: there is no such port.", "Give one to 65535.")


GROUPS = {
    "loading": LoadingOptions,
    "views": ViewOptions,
    "encoding": EncodingOptions,
    "server": ServerOptions,
    "task": TaskOptions,
    "share": ShareOptions,
}


def grouped(options: dict[str, Any]) -> dict[str, Any]:
    """Each group with the options of it, out of all options by their fields' names."""
    return {
        name: group(
            **{each.name: options[each.name] for each in fields(group) if each.name in options}
        )
        for name, group in GROUPS.items()
    }
