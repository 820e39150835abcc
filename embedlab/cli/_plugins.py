"""What is wrong with the plug-ins that are installed; what `embedlab doctor` says of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from embedlab.errors import explained
from leaderboard.plugins import PAGES, Plugin, every


class State(NamedTuple):
    """A plug-in, the kind of thing that it adds, and what is wrong with it:
    empty where it works.
    """

    kind: str
    plugin: Plugin
    problem: str
    mend: str


def states() -> Iterator[State]:
    """All plug-ins that are installed, each loaded."""
    seen: set[tuple[str, str]] = set()
    for kind, (group, is_reserved, load) in _kinds().items():
        for plugin in every(group):
            problem, mend = "", ""
            if is_reserved(plugin.name) or (kind, plugin.name) in seen:
                owner = "embedlab" if is_reserved(plugin.name) else "a package before it"
                problem = f"the name is taken by {owner}: it is not used"
            else:
                seen.add((kind, plugin.name))
                problem, mend = _problem(load, plugin)
            yield State(kind, plugin, problem, mend)


def _kinds() -> dict[str, tuple[str, Callable[[str], bool], Callable[[Plugin], object]]]:
    """Kind -> entry point group, whether a name in it is taken,
    and what loads a plug-in or says what is wrong.
    """
    from embedlab.encoders import methods
    from embedlab.models import plugin_cards
    from embedlab.models.cards import cards
    from leaderboard import measures
    from retrievers import registry

    ours = {path.stem for path in (Path(__file__).parents[2] / "app" / "screens").glob("*.py")}
    return {
        "encoder": (
            methods.GROUP,
            lambda name: name in {*methods.METHODS, *methods.RESERVED, *cards()},
            lambda plugin: plugin_cards.of(methods.method(plugin.name)),
        ),
        "index": (
            registry.GROUP,
            registry.is_reserved,
            lambda plugin: registry.index_class(plugin.name.lower()),
        ),
        "metric": (measures.GROUP, lambda name: name in measures.reserved(), measures.check),
        "page": (PAGES, lambda name: name in ours, lambda plugin: plugin.load(PAGES)),
    }


def _problem(load: Callable[[Plugin], object], plugin: Plugin) -> tuple[str, str]:
    try:
        load(plugin)
    except Exception as error:
        return explained(error) or (f"{type(error).__name__}: {error}", plugin.hint)
    return "", ""
