"""Every option of an evaluation, declared once.

A group is a dataclass. The command line is built from its fields (`embedlab.cli._groups`),
`embedlab.evaluate` takes them by their names, they travel whole to who uses them, and are recorded
whole.
"""

from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from embedlab.errors import UserError, unknown

STORE_DTYPES = ("float32", "float16")


def option(
    default: Any, help: str, *, flag: str = "", form: str = "", least: int | None = None
) -> Any:
    """A field of a group, with what the command line needs to know of it.

    Args:
        default: its value where nothing is asked for.
        help: what it does, in one sentence.
        flag: its name on the command line, where that is not the field's.
        form: how it is typed there, where its type does not say: "words" and "numbers" are
            separated by commas, what is "repeatable" is typed once for each.
        least: the smallest number that it takes.
    """
    return field(
        default=default, metadata={"help": help, "flag": flag, "form": form, "least": least}
    )


@dataclass(frozen=True)
class LoadingOptions:
    """How models are loaded that are given by name."""

    device: str | None = option(None, "cpu, cuda, cuda:1, mps; a GPU where there is one.")
    dtype: str = option("auto", "auto, float32, bfloat16, float16.")
    trust_remote_code: bool = option(
        False, "Run the Python code that a model's folder or repository brings."
    )


@dataclass(frozen=True)
class ViewOptions:
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
        (None,), "Layers to evaluate, e.g. 2,4,6.", form="numbers"
    )
    dims: Sequence[int | None] = option(
        (None,), "Dimensions to cut to, e.g. 32,64,128.", form="numbers"
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

    def __post_init__(self) -> None:
        if self.diagonal and (any(self.layers) or any(self.dims)):
            raise UserError(
                "--views diagonal stands for the pairs that the method was trained for.",
                "Leave --layers and --dims out.",
            )

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
class EncodingOptions:
    """How a model's vectors are made and kept.

    Raises:
        UserError: an unknown dtype, or a number below 1.
    """

    store_dtype: str = option("float32", "float32 or float16: dtype of the vectors on disk.")
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
        if self.store_dtype not in STORE_DTYPES:
            raise unknown(
                "--store-dtype",
                self.store_dtype,
                STORE_DTYPES,
                f"Valid: {', '.join(STORE_DTYPES)}.",
            )
        for name, value in (("--batch-tokens", self.batch_tokens), ("--workers", self.workers)):
            if value is not None and value < 1:
                raise UserError(
                    f"{name} {value}: there is no such number.", f"{name} takes 1 or more."
                )


@dataclass(frozen=True)
class TaskOptions:
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
        if self.measures:
            from leaderboard.measures import requested

            given = [self.measures] if isinstance(self.measures, str) else self.measures
            names = dict.fromkeys(requested(name)[0] for name in given)
            object.__setattr__(self, "measures", tuple(names))


GROUPS = {
    "loading": LoadingOptions,
    "views": ViewOptions,
    "encoding": EncodingOptions,
    "task": TaskOptions,
}


def grouped(options: dict[str, Any]) -> dict[str, Any]:
    """Each group with the options of it, out of all options by their fields' names."""
    return {
        name: group(
            **{each.name: options[each.name] for each in fields(group) if each.name in options}
        )
        for name, group in GROUPS.items()
    }


def default_of(each: Field[Any]) -> Any:
    """The default of a field; None where it has none."""
    return None if each.default is MISSING else each.default
