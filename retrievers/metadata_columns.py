"""The metadata of all documents by field, each field of one type: what a filter reads."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
from pyarrow import parquet

from retrievers.errors import RetrieverError

Array: TypeAlias = Any  # of pyarrow, which brings no types
MOST = (
    1_000  # fields that are kept in a file; of more, all are gathered anew where one is asked for
)
_FILE = "fields.parquet"
_KINDS = {"text": pa.string(), "number": pa.float64(), "boolean": pa.bool_()}
_WHOLE = range(-(2**63), 2**63)


@dataclass
class _Gathered:
    """The values of one field, the row of each, and how often each kind is there."""

    rows: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def take(self, row: int, value: Any) -> None:
        if self.rows and self.rows[-1] == row:  # "a.b" both as a name and as b inside of a
            return
        self.rows.append(row)
        self.values.append(value)
        self.kinds[kind_of(value)] += 1

    @property
    def kind(self) -> str:
        """The one kind of all values; "" where they are of several."""
        kinds = set(self.kinds)
        if len(kinds) > 1:
            kinds -= {"list"}  # an empty one may be of anything
        (one, *others) = sorted(kinds)
        known = one == "list" or one.removeprefix("list of ").rstrip("s") in _KINDS
        return "" if others or not known else one

    def array(self, count: int) -> Array:
        if not self.kind:  # what counts is where it is
            kind, values = pa.bool_(), [True] * len(self.values)
        else:
            kind = _arrow_type(self.kind, self.values)
            values = [_plain(value, kind) for value in self.values]
        filled: list[Any] = [None] * count
        for row, value in zip(self.rows, values, strict=True):
            filled[row] = value
        return pa.array(filled, kind)


class Columns:
    """The fields of `count` documents. Objects inside of a document's metadata are fields too:
    "author.name".

    Attributes:
        kinds: of each field: text, number, boolean, list of texts (numbers, booleans); "" where
            documents have values of several kinds.
        mixed: of a field of several kinds, how often each is there.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.kinds: dict[str, str] = {}
        self.mixed: dict[str, dict[str, int]] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._file: Any = None
        self._arrays: dict[str, Array] = {}

    @classmethod
    def of(cls, metadata: Iterable[Mapping[str, Any]]) -> "Columns":
        """The fields of documents, from the metadata of each."""
        columns, count = cls(0), 0
        for row, fields in enumerate(metadata):
            count = row + 1
            for name, value in _flat(fields):
                columns._gathered.setdefault(name, _Gathered()).take(row, value)
        columns.count = count
        for name, gathered in sorted(columns._gathered.items()):
            columns.kinds[name] = gathered.kind
            if not gathered.kind:
                columns.mixed[name] = dict(gathered.kinds)
        return columns

    def declare(self, kinds: Mapping[str, str]) -> "Columns":
        """Make fields known, by name and kind, though no document may have them, and list them
        first; returns itself.
        """
        for name in kinds.keys() - self.kinds:
            self._gathered[name] = _Gathered(kinds=Counter({kinds[name]: 0}))
        self.kinds = {**kinds, **self.kinds}
        return self

    def array(self, name: str) -> Array:
        """The values of a field, null where a document has none."""
        if name not in self._arrays:
            if self._file is None:
                self._arrays[name] = self._gathered[name].array(self.count)
            else:
                self._arrays[name] = self._read(name)
        return self._arrays[name]

    def save(self, folder: Path) -> None:
        """Write the fields to a file in `folder`."""
        if not 0 < len(self.kinds) <= MOST:
            return
        said = {"kinds": self.kinds, "mixed": self.mixed}
        arrays = [self.array(name) for name in self.kinds]
        # Numbers as names, since a dot in a name means something to Parquet.
        names = [str(number) for number in range(len(arrays))]
        table = pa.table(arrays, names).replace_schema_metadata({"fields": json.dumps(said)})
        parquet.write_table(table, folder / _FILE)

    @classmethod
    def load(cls, folder: Path, count: int) -> "Columns | None":
        """The fields in `folder`, also when the file is removed meanwhile; None where there is no
        file.

        Raises:
            RetrieverError: the file is not of `count` documents, or damaged.
        """
        if not (folder / _FILE).exists():
            return None
        columns = cls(count)
        columns._file = parquet.ParquetFile(pa.memory_map(str(folder / _FILE)))
        schema = columns._file.schema_arrow
        said = json.loads((schema.metadata or {}).get(b"fields", b"{}"))
        columns.kinds, columns.mixed = said["kinds"], said["mixed"]
        fits = [
            _is_of(each.type, kind)
            for each, kind in zip(schema, said["kinds"].values(), strict=True)
        ]
        if columns._file.metadata.num_rows != count or not all(fits):
            raise _unreadable("they are not those of its documents")
        return columns

    def _read(self, name: str) -> Array:
        place = list(self.kinds).index(name)
        try:
            read = self._file.read(columns=[str(place)]).column(0).combine_chunks()
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(str(error)) from error
        return read


def kind_of(value: Any) -> str:
    """What a value of metadata is."""
    if isinstance(value, bool) or type(value).__name__ == "bool_":  # of numpy
        return "boolean"
    if isinstance(value, Real):
        return "number"
    if isinstance(value, str):
        return "text"
    if not isinstance(value, list | tuple):
        return type(value).__name__
    inside = {kind_of(each) for each in value}
    if not inside:
        return "list"
    one = min(inside)
    return f"list of {one}s" if len(inside) == 1 and one in _KINDS else "list of several kinds"


def encodable(text: str) -> str:
    """The text with lone surrogates, which neither Arrow nor Java takes, as question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _flat(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """All fields that have a value."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None and not (isinstance(value, Real) and value != value):  # NaN
            yield f"{before}{name}", value


def _arrow_type(kind: str, values: list[Any]) -> Any:
    """Whole numbers as such, where all are: float64 does not tell those beyond 2**53 apart."""
    if kind.startswith("list"):
        inside = [each for value in values for each in value]
        element = kind.removeprefix("list").removeprefix(" of ").removesuffix("s") or "text"
        return pa.list_(_arrow_type(element, inside))
    if kind == "number" and all(isinstance(v, Integral) and int(v) in _WHOLE for v in values):
        return pa.int64()
    return _KINDS[kind]


def _plain(value: Any, kind: Any) -> Any:
    """A value as Arrow takes it."""
    if pa.types.is_list(kind):
        return [_plain(each, kind.value_type) for each in value]
    if isinstance(value, str):
        return encodable(value)
    if not pa.types.is_floating(kind):
        return value
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _is_of(arrow: Any, kind: str) -> bool:
    if kind.startswith("list"):
        element = kind.removeprefix("list").removeprefix(" of ").removesuffix("s") or "text"
        return pa.types.is_list(arrow) and _is_of(arrow.value_type, element)
    return arrow in (_KINDS.get(kind, pa.bool_()), pa.int64() if kind == "number" else None)


def _unreadable(why: str) -> RetrieverError:
    return RetrieverError(f"The fields of the index cannot be read: {why}.", "Build it again.")
