"""The checks of the marts: each finds what it is for, names it, and lets the rest pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pytest

from onelens_claude.orchestration.checks import build_checks
from onelens_claude.orchestration.resources import Onelens

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.settings import Settings

USAGE = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "output_tokens",
    "total_tokens",
    "web_search_requests",
    "requests",
)


@pytest.fixture
def settings(write_settings: Callable[..., Settings]) -> Settings:
    return write_settings({"acme": ("sk-ant-api01-acme", "http://127.0.0.1:9")})


def evaluate(settings: Settings, name: str, *statements: str) -> dg.AssetCheckResult:
    """Make the marts a check reads in the working file, and evaluate it."""
    settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
    with Onelens(settings).warehouse().writer() as connection:
        connection.execute("create schema marts")
        for statement in statements:
            connection.execute(statement)
    (check,) = (one for one in build_checks() if {key.name for key in one.check_keys} == {name})
    result = check(Onelens(settings))
    assert isinstance(result, dg.AssetCheckResult)
    return result


def usage_table(**unattributed: Any) -> str:
    values = ", ".join(f"{unattributed.get(name, 1)!s}::bigint as {name}" for name in USAGE)
    row = "'acme' as organization_id, date '2026-11-02' as activity_date"
    users = ", ".join(f"5::bigint as {name}" for name in USAGE)
    return (
        f"create table marts.fct_claude_usage as select {row}, 'user' as attribution, {users} "
        f"union all select {row}, 'unattributed', {values}"
    )


@pytest.mark.parametrize("counter", USAGE[:-1])
def test_usage_of_users_beyond_the_total_is_an_error_that_names_the_day(settings, counter):
    result = evaluate(settings, "no_usage_remainder_is_negative", usage_table(**{counter: -38_159_977}))
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.ERROR
    assert "1 days have users that used more" in (result.description or "")
    assert "2026-11-02" in str(result.metadata["first"])


@pytest.mark.parametrize("value", [0, 7, "null"])
def test_usage_that_users_do_not_exceed_passes(settings, value):
    assert evaluate(settings, "no_usage_remainder_is_negative", usage_table(output_tokens=value)).passed


@pytest.mark.parametrize(
    ("status", "passed"), [("exact", True), ("missing_total", True), ("negative_remainder", False)]
)
def test_cost_of_users_beyond_the_total_is_an_error(settings, status, passed):
    result = evaluate(
        settings,
        "no_remainder_is_negative",
        f"""create table marts.cost_reconciliation as select 'acme' as organization_id,
            date '2026-11-02' as activity_date, 1.0 as total_cents, 2.0 as user_cents, -1.0 as unattributed_cents,
            '{status}' as status""",
    )
    assert result.passed is passed
    assert result.severity is dg.AssetCheckSeverity.ERROR


def test_a_check_closes_the_file_it_read(settings):
    evaluate(settings, "no_usage_remainder_is_negative", usage_table())
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        assert connection.execute("select count(*) from marts.fct_claude_usage").fetchone() == (2,)
