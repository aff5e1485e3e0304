"""After days were deleted for their age, an incremental build equals a full refresh: no month keeps what was cut."""

from __future__ import annotations

import datetime as dt
import shutil
from typing import TYPE_CHECKING

from onelens_claude.privacy.retention import delete_expired
from onelens_claude.warehouse.files import Warehouse
from tests.dbt_project.conftest import Built

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dbt_project.conftest import Dbt

KEPT = dt.date(2026, 2, 15)
MODELS = (
    "int_user_months",
    "user_monthly_spend",
    "user_daily_spend",
    "user_monthly_unit_economics",
    "org_monthly_unit_economics",
    "cost_reconciliation",
    "cost_revisions",
    "fct_claude_costs",
)


def test_the_month_that_is_cut_is_written_anew(stages: dict[str, Built], dbt: Dbt, tmp_path: Path) -> None:
    path = tmp_path / "working.duckdb"
    shutil.copyfile(stages["3"].path, path)
    before = stages["3"]
    february = "from marts.user_monthly_spend where organization_id = 'working' and month = '2026-02-01'"
    assert delete_expired(Warehouse(path, tmp_path / "serving.duckdb"), KEPT)
    selected = ("--select", *(f"+{model},config.materialized:table" for model in MODELS), *MODELS)
    dbt(path, "run", *selected)
    incremental = Built(shutil.copyfile(path, tmp_path / "incremental.duckdb"), [], {}, "")
    dbt(path, "run", "--full-refresh", *selected, "+fct_claude_costs,config.materialized:incremental")
    refreshed = Built(path, [], {}, "")
    assert incremental.query(f"select count(*), sum(amount_cents) {february}") != before.query(
        f"select count(*), sum(amount_cents) {february}"
    )
    for model in MODELS:
        schema = "intermediate" if model.startswith("int_") else "marts"
        select = f"select * exclude (built_through_sequence) from {schema}.{model} order by all"
        if not incremental.query(f"from (describe {schema}.{model}) where column_name = 'built_through_sequence'"):
            select = select.replace(" exclude (built_through_sequence)", "")
        assert incremental.query(select) == refreshed.query(select), model
    assert incremental.query("select min(activity_date) >= ? from marts.fct_claude_costs", KEPT) == [(True,)]
