"""What the documents say is true: queries run, commands and settings are named."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pytest
import yaml

from onelens_claude.cli import COMMANDS
from onelens_claude.definitions import build_defs
from onelens_claude.settings import Settings, load_settings
from tests.worlds import process_environment, run_main

if TYPE_CHECKING:
    from tests.worlds import World

ROOT = Path(__file__).resolve().parents[2]
QUERIES = re.findall(
    r"## ([^\n]+)\n(.*?)(?=\n## |\Z)", (ROOT / "docs/queries.md").read_text(encoding="utf-8"), re.DOTALL
)
SQL = [(title, sql) for title, text in QUERIES for sql in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)]
PYTHON = re.findall(r"```python\n(.*?)```", "\n".join(text for _, text in QUERIES), re.DOTALL)
OPTIONAL = ("plugin_daily_usage", "artifact_daily_creation", "priority_tier_estimates")
"""Empty unless the settings name their endpoints, which those of the loaded world do not."""
TODAY = ("spend_today", "hourly_spend", "runaways_today")
"""Empty unless somebody watches the running day, as `test_watch.py` does."""
OLD = ("marts.deletions", "marts.erasures")
"""Empty until a day is older than the retention or somebody is erased, as in `tests/privacy`."""


@pytest.mark.parametrize(("title", "sql"), SQL, ids=[title for title, _ in SQL])
def test_a_documented_query_answers_by_organisation_and_without_a_float(loaded: World, title: str, sql: str) -> None:
    with duckdb.connect(str(loaded.serving), read_only=True) as connection:
        result = connection.execute(sql)
        rows = result.fetchall()
        assert rows or any(mart in sql for mart in (*OPTIONAL, *TODAY, *OLD)), f"{title}: no rows"
        kinds = {name: str(kind) for name, kind, *_ in result.description}
    assert "organization_id" in kinds
    assert {name: kind for name, kind in kinds.items() if kind in {"DOUBLE", "FLOAT"}} == {}
    assert {kind[:7] for name, kind in kinds.items() if name.endswith(("_usd", "_cents"))} <= {"DECIMAL"}


def test_the_month_to_date_stands_against_the_same_days_of_the_month_before(loaded: World) -> None:
    (sql,) = (sql for title, sql in SQL if title.startswith("This month to date"))
    rows = loaded.rows(sql)
    assert {row["complete_through"] for row in rows} == {dt.date(2026, 11, 20)}
    costs = loaded.rows(
        "select organization_id, activity_date, sum(amount_usd) as usd from marts.fct_claude_costs group by all"
    )
    spent = {(row["organization_id"], row["activity_date"]): row["usd"] for row in costs}
    for row in rows:
        said = {}
        for month in (10, 11):
            days = (dt.date(2026, month, day) for day in range(1, 21))
            said[month] = [spent[row["organization_id"], day] for day in days if (row["organization_id"], day) in spent]
        assert (row["to_date_usd"], row["same_days_last_month_usd"]) == (sum(said[11]), sum(said[10])), row
        assert (row["days_to_date"], row["days_last_month"]) == (len(said[11]), len(said[10])), row


def test_the_documented_python_keeps_every_digit_and_reads_through_the_resource(loaded: World) -> None:
    frame_example, asset_example = PYTHON
    with process_environment(loaded.variables()):
        names: dict[str, Any] = {}
        exec(frame_example, names)
        exact = loaded.rows("select sum(amount_usd) as usd from marts.product_daily_spend")[0]["usd"]
        assert names["by_product"].sum() == exact
        assert names["total"] == loaded.rows("select sum(amount_usd) as usd from marts.user_monthly_spend")[0]["usd"]
        assert isinstance(names["total"], Decimal)
        exec(asset_example, names)
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [names["spenders"]], resources={"duckdb": build_defs().resources["duckdb"]}, instance=instance
            )
        (event,) = result.get_asset_materialization_events()
    users = loaded.rows("select count(distinct user_id) as users from marts.user_monthly_spend")[0]["users"]
    assert event.materialization.metadata["spenders"].value == users > 0


def test_every_mart_has_an_example_query(loaded: World) -> None:
    text = "\n".join(sql for _, sql in SQL)
    tables = {
        row["table_name"] for row in loaded.rows("select table_name from duckdb_tables() where schema_name = 'marts'")
    }
    views = loaded.rows("select view_name from duckdb_views() where schema_name = 'marts'")
    tables |= {row["view_name"] for row in views}
    assert {table for table in tables if f"marts.{table}" not in text} == set()


def test_the_catalogue_is_one_file_made_offline_with_every_mart_and_what_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    assert run_main(["docs", "--out", str(tmp_path / "site")]) == 0
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    marts = {path.stem for path in (ROOT / "dbt_project/models/marts").rglob("*.sql")}
    assert len(marts) > 20
    assert {mart for mart in marts if f"model.onelens_claude.{mart}" not in page} == set()
    assert "decimal(38,12)" in page.lower()
    assert "Where to begin" in page  # the overview, with which it opens
    for exposure in ("management_report", "alerts"):
        assert f"exposure.onelens_claude.{exposure}" in page
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=.https?://", page)


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in readme] == []


def test_every_test_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    there = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) >= 8
    assert named - there == set()


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?m)(?:^|`)make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_example_settings_load_and_name_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_ANALYTICS_KEY", "sk-ant-api01-example")
    example = ROOT / "onelens.example.yaml"
    settings = load_settings(example)
    text = example.read_text(encoding="utf-8")

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {key for inner in value.values() for key in keys(inner)}
        return {key for inner in value for key in keys(inner)} if isinstance(value, list | tuple) else set()

    known = keys(settings.model_dump()) | keys(Settings.model_json_schema().get("properties", {}).keys())
    assert {key for key in known - {"source"} if f"{key}:" not in text} == set()
    assert yaml.safe_load(text)["polling"]["requests_per_minute"] == 60
