"""embedlab: a laboratory for text embedders built on LLMs.

>>> import embedlab
>>> found = embedlab.evaluate("bm25", "StdlibMiniCodeSearch", progress=False)
>>> found.leaderboard()["model"].tolist()
['bm25']

Everything here is imported when it is first used: `import embedlab` alone imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedlab.api.evaluate import evaluate
    from embedlab.api.index import Index
    from embedlab.api.load import load
    from embedlab.api.results import Results, results
    from embedlab.api.study import study
    from embedlab.errors import UserError

__version__ = "0.1.0"
__all__ = ["Index", "Results", "UserError", "__version__", "evaluate", "load", "results", "study"]

_PLACES = {
    "evaluate": "embedlab.api.evaluate",
    "Index": "embedlab.api.index",
    "load": "embedlab.api.load",
    "Results": "embedlab.api.results",
    "results": "embedlab.api.results",
    "study": "embedlab.api.study",
    "UserError": "embedlab.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
