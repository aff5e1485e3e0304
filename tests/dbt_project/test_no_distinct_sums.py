"""No mart adds or averages a distinct count: whoever is in two of its rows would be counted twice.

What belongs here: the rule, read from the SQL that dbt compiled, and the proof that it refuses. What does not: figures.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from sqlglot import exp, parse_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dbt_project.conftest import Built, Dbt

DISTINCT_COUNT = re.compile(r"(\w+_)?distinct_\w+|\w*active_user_count", re.IGNORECASE)
SUMS = {"sum", "avg", "fsum", "favg", "mean", "kahan_sum", "sumkahan"}


def refused(sql: str) -> list[str]:
    """Return the sums and averages of distinct counts, and the renamings after which the next sum could not be seen."""
    tree = parse_one(sql, dialect="duckdb")
    sums = [
        call for call in tree.find_all(exp.Func) if (call.name if isinstance(call, exp.Anonymous) else call.key) in SUMS
    ]
    found = [call for call in sums if any(map(is_distinct_count, summed_columns(call)))]
    return [
        part.sql() for part in found + [alias for alias in tree.find_all(exp.Alias) if hides_a_distinct_count(alias)]
    ]


def is_distinct_count(column: Any) -> bool:
    return isinstance(column, exp.Column) and bool(DISTINCT_COUNT.fullmatch(column.name))


def summed_columns(expression: Any) -> Iterator[Any]:
    """Yield the columns whose values enter the result: a condition (`when distinct_x > 0 then`) is no part of it."""
    if isinstance(expression, exp.Column):
        yield expression
    for part in expression.iter_expressions():
        if not (isinstance(expression, exp.If) and part is expression.this):
            yield from summed_columns(part)


def hides_a_distinct_count(alias: exp.Alias) -> bool:
    value = alias.this
    while isinstance(value, exp.Paren | exp.Cast | exp.Coalesce):
        value = value.this
    return is_distinct_count(value) and not DISTINCT_COUNT.fullmatch(alias.alias)


def test_no_mart_adds_or_averages_a_distinct_count(built: Built, dbt: Dbt) -> None:
    manifest = json.loads((dbt.folder / "target" / "manifest.json").read_text())
    marts = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    ]
    made = built.query("select count(*) from information_schema.tables where table_schema = 'marts'")
    assert [(len(marts),)] == made
    assert {mart: found for mart in marts if (found := refused(dbt.compiled(mart)))} == {}


@pytest.mark.parametrize(
    ("select", "is_refused"),
    [
        ("sum(distinct_user_count)", True),
        ("SUM(DISTINCT_USER_COUNT)", True),
        ("avg(project.chat_distinct_session_count) over (partition by x)", True),
        ("sum(case when y > 0 then distinct_user_count end)", True),
        ("sum(case when y > 0 then 0 else distinct_user_count end)", True),
        ("sum(cast(distinct_user_count as double) / 2)", True),
        ("sum(distinct_user_count) filter (where y > 0)", True),
        ("sum\n  (coalesce((distinct_user_count), 0))", True),
        ("max(sum(weekly_active_user_count))", True),
        ("kahan_sum(distinct_user_count)", True),
        ("distinct_user_count as users", True),
        ("coalesce(distinct_user_count, 0) as users", True),
        ("sum(case when distinct_user_count > 0 then message_count end)", False),
        ("sum(message_count) filter (where distinct_user_count > 0)", False),
        ("count(distinct user_id)", False),
        ("sum(message_count) + max(distinct_user_count)", False),
        ("cast(distinct_user_count as double) / 2", False),
        ("'sum(distinct_user_count)' -- sum(distinct_user_count", False),
        ("t.distinct_user_count as newest_distinct_user_count", False),
    ],
)
@pytest.mark.parametrize(
    "query", ["select x, {select}\nfrom t", "with a as (select x, {select}\nfrom t) select * from a"]
)
def test_a_model_that_adds_distinct_counts_is_refused(query: str, select: str, *, is_refused: bool) -> None:
    assert bool(refused(query.format(select=select))) == is_refused
