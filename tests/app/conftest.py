"""A sample store for the dashboard's tests, and its pages without a browser."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import later
from app.settings import VARIABLE, Settings
from tests.app import sample

MAIN = Path(__file__).parents[2] / "app" / "main.py"


@pytest.fixture(scope="session")
def sample_db(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "results.duckdb"
    sample.fill(path)
    return path


@pytest.fixture
def serve(monkeypatch):
    """A function that puts settings into the environment, as the command does."""

    # AppTest leaves its script there.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    # What comes later is waited for.
    monkeypatch.setattr(later, "AT_ONCE", 60.0)

    def put(**settings) -> None:
        st.cache_resource.clear()
        monkeypatch.setenv(
            VARIABLE, json.dumps(asdict(Settings(**{k: str(v) for k, v in settings.items()})))
        )

    return put


@pytest.fixture
def show(serve, sample_db):
    """A function that runs one page, with parameters in its address."""

    def run(
        module: str, db: Path = sample_db, indexes: Path | str = "", encoders: str = "", **address
    ) -> AppTest:
        serve(db=db, indexes=indexes, encoders=encoders)
        page = AppTest.from_string(
            f"from app.screens import {module}\n{module}.page()", default_timeout=60
        )
        for name, value in address.items():
            page.query_params[name] = value
        return page.run()

    return run


@pytest.fixture
def open_app(serve):
    """A function that runs the whole app: its default page, with errors as a reader meets them."""

    def run(db: Path) -> AppTest:
        serve(db=db)
        return AppTest.from_file(MAIN, default_timeout=60).run()

    return run
