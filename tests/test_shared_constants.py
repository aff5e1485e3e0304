"""What Python and SQL both count with is the same number in both."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest
import yaml

from onelens_claude.api.endpoints import GROUP_CAP
from onelens_claude.ledger.due import ENGAGEMENT_SETTLE_DAYS, ROUNDING_DUST_CENTS
from onelens_claude.ledger.status import LATEST_LAG_DAYS
from onelens_claude.paths import PROJECT_ROOT
from onelens_claude.settings import Polling

DBT_PROJECT = PROJECT_ROOT / "dbt_project"


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
    (file,) = (DBT_PROJECT / "macros").rglob("engagement.sql")
    macros = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(file.read_text()).module
    assert int(getattr(macros, name)()) == value
