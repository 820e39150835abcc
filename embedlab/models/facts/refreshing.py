"""Facts of the models in a results store, brought to what mteb's registry says now."""

import json
from dataclasses import fields
from typing import Any

from embedlab.models.cards import Card, cards
from embedlab.models.facts import registry_facts
from leaderboard.records import Model
from leaderboard.storage.rows import models_table
from leaderboard.storage.statements import insert
from leaderboard.storage.store import Store

_OF_CARDS = {field.name for field in fields(Card)}


def refresh(store: Store) -> int:
    """Ask for the facts of every model that another version of mteb was asked for, or none;
    returns of how many. Imports mteb only where there are such.

    What a run's own card said stays.

    Raises:
        LeaderboardError: the store cannot be written; it is as it was.
    """
    if not store.path.is_file():
        return 0
    edition = registry_facts.edition()
    rows = store.query("SELECT name, revision, kind, details FROM models").to_pylist()
    for row in rows:
        row["details"] = json.loads(row["details"])
    old = [row for row in rows if row["details"].get("facts_from") != edition]
    if not old:
        return 0
    models = [
        Model(row["name"], row["revision"], row["kind"], _renewed(row["name"], row["details"]))
        for row in old
    ]
    with store.database.writing() as connection:
        insert(connection, {"models": models_table(models)})
    return len(models)


def _renewed(name: str, details: dict[str, Any]) -> dict[str, Any]:
    own = {key for key in details if key in _OF_CARDS} if "method" in details else set()
    if own and (details.get("origin") or details.get("name")) not in cards():
        own.discard("public")  # by default, before it was left open
        details = {key: value for key, value in details.items() if key != "public"}
    named = (details.get("registry"), details.get("source"), name)
    known = registry_facts.of(next(each for each in named if isinstance(each, str) and each))
    return {
        **details,
        **{key: value for key, value in known.items() if key not in own},
        "facts_from": registry_facts.edition(),
    }
