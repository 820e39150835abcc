"""What the page of RAG experiments reads, kept until the store changes, as in `app.reading`."""

import pandas as pd
import streamlit as st

from app import reading
from app.reading import Stamp
from app.settings import settings
from leaderboard.records import Answer
from leaderboard.tables import rag_runs
from leaderboard.tables.comparison import Comparison
from leaderboard.tables.rag_runs import Experiment


def experiments() -> dict[str, Experiment]:
    """Every set of questions with its pipelines, by the name to show."""
    return _experiments(settings().db, reading.stamp())


@st.cache_resource(max_entries=2, show_spinner=False)
def _experiments(db: str, stamp: Stamp) -> dict[str, Experiment]:
    return rag_runs.experiments(reading.store())


def measured(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and costs of an experiment's pipelines."""
    return _measured(settings().db, reading.stamp(), name)


@st.cache_resource(max_entries=8, show_spinner="Reading results ...")
def _measured(db: str, stamp: Stamp, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return rag_runs.measured(reading.store(), experiments()[name])


def by_question(name: str) -> dict[str, pd.DataFrame]:
    """Scores of each question by metric."""
    return _by_question(settings().db, reading.stamp(), name)


@st.cache_resource(max_entries=8, show_spinner="Reading results ...")
def _by_question(db: str, stamp: Stamp, name: str) -> dict[str, pd.DataFrame]:
    return rag_runs.by_question(reading.store(), experiments()[name])


def compared(name: str, labels: tuple[str, str], metric: str) -> Comparison:
    """Two pipelines in a paired test."""
    return _compared(settings().db, reading.stamp(), name, labels, metric)


@st.cache_resource(max_entries=24, show_spinner="Comparing ...")
def _compared(db: str, stamp: Stamp, name: str, labels: tuple[str, str], metric: str) -> Comparison:
    return rag_runs.compared(experiments()[name], by_question(name)[metric], labels, metric)


def answers(name: str, question: str) -> dict[str, Answer]:
    """What came of a question, by the pipeline's label."""
    return _answers(settings().db, reading.stamp(), name, question)


@st.cache_resource(max_entries=16, show_spinner=False)
def _answers(db: str, stamp: Stamp, name: str, question: str) -> dict[str, Answer]:
    return rag_runs.answers(reading.store(), experiments()[name], question)
