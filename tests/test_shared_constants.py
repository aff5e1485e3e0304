"""What Python and SQL both count with is the same number in both."""

from __future__ import annotations

from typing import Any

import duckdb
import jinja2
import pytest
import yaml

from onelens_claude.api.endpoints import GROUP_CAP
from onelens_claude.errors import OnelensError, day_state, every_kind
from onelens_claude.ledger.due import ENGAGEMENT_SETTLE_DAYS, ROUNDING_DUST_CENTS
from onelens_claude.ledger.status import LATEST_LAG_DAYS
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import Polling
from onelens_claude.states import DayState

DBT_PROJECT = PROJECT_ROOT / "dbt_project"


def macros_of(name: str) -> Any:
    (file,) = (DBT_PROJECT / "macros").rglob(name)
    return jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(file.read_text()).module


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("remainder_dust_cents", ROUNDING_DUST_CENTS),
        ("group_cap", GROUP_CAP),
        ("default_revision_days", Polling.model_fields["revision_days"].default),
    ],
)
def test_a_variable_of_the_dbt_project_equals_the_constant_in_python(name: str, value: Any):
    assert yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())["vars"][name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("engagement_settle_days", ENGAGEMENT_SETTLE_DAYS), ("engagement_latest_lag_days", LATEST_LAG_DAYS)],
)
def test_a_macro_that_is_a_number_equals_the_constant_in_python(name: str, value: int):
    assert int(getattr(macros_of("engagement.sql"), name)()) == value


@pytest.mark.parametrize("kind", every_kind())
def test_sql_makes_of_a_failure_what_python_makes_of_it(kind: type[OnelensError]):
    macros = macros_of("failures.sql")
    state, ends_the_run = duckdb.execute(
        f"select {macros.failure_state('$1')}, {macros.failure_ends_the_run('$1')}", [kind.error_type]
    ).fetchall()[0]
    assert (state, state) == (kind.day_state, day_state(kind.error_type))
    assert ends_the_run == kind.ends_the_run


def test_a_table_names_the_states_of_days_in_the_words_of_the_one_list():
    (file,) = (DBT_PROJECT / "models").rglob("engagement_day_states.yml")
    columns = {one["name"]: one for one in yaml.safe_load(file.read_text())["models"][0]["columns"]}
    (accepted,) = [one["accepted_values"] for one in columns["state"]["data_tests"] if "accepted_values" in one]
    assert accepted["arguments"]["values"] == [one.value for one in DayState]
    assert all(f"`{one}`: {one.meaning}" in columns["state"]["description"] for one in DayState)
