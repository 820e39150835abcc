"""What the dashboard was started with is validated."""

import json

import pytest

from app.settings import VARIABLE, Settings, settings
from leaderboard.errors import LeaderboardError
from leaderboard.tables.benchmarks import Benchmarks


def test_settings_are_those_of_the_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert settings() == Settings()
    monkeypatch.setenv(VARIABLE, json.dumps({"db": "x.duckdb", "indexes": "here"}))
    assert settings() == Settings(db="x.duckdb", indexes="here")


@pytest.mark.parametrize(
    ("given", "problem"),
    [("{", "Expecting"), ("[]", "got `array`"), ('{"db": 3}', "db = 3: Expected `str`")],
)
def test_another_variable_is_one_clear_error(monkeypatch, given, problem):
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(LeaderboardError, match=VARIABLE) as error:
        settings()
    assert problem in str(error.value) and "embedlab dashboard" in error.value.hint


def test_benchmarks_come_from_a_file_that_fits(tmp_path):
    file = tmp_path / "benchmarks.json"
    chosen = Settings(benchmarks=str(file))
    assert chosen.read_benchmarks() == Benchmarks()
    file.write_text('{"parts": {"b": {"T": [["test", "default"]]}}, "main_revisions": {}}')
    assert chosen.read_benchmarks().parts == {"b": {"T": [("test", "default")]}}
    file.write_text('{"parts": {"b": [1]}}')
    assert chosen.read_benchmarks() == Benchmarks()
