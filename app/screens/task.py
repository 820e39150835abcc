"""Task: what is known of it, a sample of its data, and the models that are best on it."""

import streamlit as st

from app import controls, reading, task_reading
from app.safe_text import plain
from app.tables import Link, table, web_link
from leaderboard.measures import shown
from leaderboard.tables.known_facts import UNKNOWN, in_words
from leaderboard.tables.table import Column

_FACTS = (
    "type", "metric", "languages", "domains", "licence", "date", "splits", "subsets",
    "instruction", "data", "revision", "members", "replaced_by", "link",
)  # fmt: skip
_SAMPLED, _BEST, _LONGEST = 3, 20, 600  # queries, models, characters


def page() -> None:
    """The page."""
    controls.require_results()
    names = reading.tasks()["task"].tolist()
    name = controls.one_of("Task", names, "of")
    known = task_reading.described(name)
    st.header(plain(name))
    st.caption(plain(str(known.get("description") or "Of this task mteb knows nothing.")))
    left, right = st.columns([2, 3])
    with left:
        _facts(known)
        if known.get("citation"):
            with st.expander("Citation"):
                st.code(str(known["citation"]), language=None, wrap_lines=True)
    with right:
        _best(name)
    _sample(name)


def _facts(known: dict[str, object]) -> None:
    cells = {fact.replace("_", " "): _cell(fact, known.get(fact)) for fact in _FACTS}
    for split, counts in (known.get("sizes") or {"size": {}}).items():  # type: ignore[attr-defined]
        sized = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        cells[f"{split} split" if sized else split] = sized or UNKNOWN
    for fact in ("members", "replaced_by"):  # of few tasks
        if not known.get(fact):
            del cells[fact.replace("_", " ")]
    table([Column("Fact", list(cells)), Column("Value", list(cells.values()))], "Facts")


def _cell(fact: str, value: object) -> object:
    if fact == "metric" and value:
        return shown(str(value))
    if fact == "date" and isinstance(value, list):
        return " – ".join(dict.fromkeys(str(each)[:10] for each in value))
    if address := web_link(value):
        return address
    if isinstance(value, list) and fact != "languages":
        value = ", ".join(map(str, value[:8])) + (f" and {len(value) - 8} more" * (len(value) > 8))
    return in_words(value or None)


def _best(name: str) -> None:
    ranked = reading.ranked(reading.hashable([name]), "mean", every_view=False)
    rows = ranked.rows[:_BEST]
    names = [row.name for row in rows]
    columns = [
        Column("Model", [*map(Link, names, controls.model_links(names))]),
        Column("#", [row.place for row in rows]),
        Column(name, [row.mean for row in rows], best="max"),
        Column("Zero-shot", [_unseen(row.zero_shot) for row in rows],
               help="Whether the model was not trained on this task's data"),
        Column("Parameters", [row.facts.parameters for row in rows]),
    ]  # fmt: skip
    table(columns, "The best models on this task", cards=True)
    st.caption(plain(f"{len(rows)} of {len(ranked.rows)} models. {' '.join(ranked.notes)}"))


def _unseen(share: int | None) -> str | None:
    return None if share is None else "yes" if share == 100 else "no"


def _sample(name: str) -> None:
    """Queries and a relevant document of each, where a run here kept them."""
    st.header("Sample")
    rows = task_reading.sample(name, _SAMPLED)
    if not rows:
        st.caption("No run here has kept texts of this task. This command shows some:")
        st.code(f'embedlab tasks show "{name}"', language="shell")
        return
    queries, documents = zip(*rows, strict=True)
    columns = [
        Column("Query", list(map(_cut, queries))),
        Column("A relevant document", list(map(_cut, documents))),
    ]
    table(columns, "Queries and a relevant document of each")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
