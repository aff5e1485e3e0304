"""Whatever the answers are, the lines add up to the total and no row is lost or doubled; money is exact."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import duckdb
import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelens_claude.api.endpoints import COST_DIMENSIONS
from tests.dbt_project import oracle
from tests.dbt_project.conftest import PROJECT, Built, Dbt
from tests.dbt_project.raw_rows import D, Pull, cost, insert_pulls
from tests.dbt_project.test_marts import FACT_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

AMOUNTS = st.one_of(
    st.sampled_from(["0", "-0.5", "0.000000000001", "99999999999999.999999999999", "41280.000000"]),
    st.decimals(min_value=-10, max_value=10**9, places=12).map(lambda amount: f"{amount:f}"),
)
DIMENSIONS = st.fixed_dictionaries(
    {
        "product": st.sampled_from(["chat", "claude_tag", "claude-tag", None]),
        "model": st.sampled_from(["claude-opus-4-6", "claude_opus_4_6", None]),
        "speed": st.sampled_from(["fast", None]),
        "cost_type": st.sampled_from(["tokens", "code_execution", None]),
        "token_type": st.sampled_from(["output_tokens", None]),
    }
)
LINE = st.tuples(DIMENSIONS, AMOUNTS, st.one_of(st.none(), AMOUNTS))
USER_LINES = st.lists(st.tuples(st.sampled_from(["u1", "u2", None]), LINE), max_size=6)
QUERIES = ["detail", "detail:products[]=chat", "by_product_model", "by_product_model:products[]=chat", "by_product"]
GROUPS = st.lists(st.tuples(st.sampled_from(QUERIES), LINE), max_size=8)
CAPPED = st.sets(st.sampled_from(QUERIES), max_size=2)
TOTALS = st.one_of(st.none(), st.tuples(AMOUNTS, st.one_of(st.none(), AMOUNTS)))


@pytest.fixture(scope="module")
def emptied(
    stages: dict[str, Built], dbt: Dbt, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a warehouse with models and no rows, to be filled inside transactions; its pull days follow the ledger."""
    path = tmp_path_factory.mktemp("properties") / "working.duckdb"
    shutil.copyfile(stages["3"].path, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("set threads = 1")
        for table in ("pulls", "user_cost_report_rows", "cost_report_rows"):
            connection.execute(f"delete from claude_raw.{table}")
        connection.execute("drop table staging.stg_pull_days")
        connection.execute(f"create view staging.stg_pull_days as {dbt.compiled('stg_pull_days')}")
        yield connection


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(users=USER_LINES, groups=GROUPS, capped=CAPPED, total=TOTALS, has_users=st.booleans())
def test_the_lines_are_right_for_any_answers(
    emptied: duckdb.DuckDBPyConnection,
    users: list[Any],
    groups: list[Any],
    capped: set[str],
    total: Any,
    *,
    has_users: bool,
) -> None:
    user_rows = [
        cost(amount, listed, **dimensions)
        | {
            "actor": {
                "type": "user_actor",
                "user_id": user,
                **dict.fromkeys(("email_address", "email", "name", "deleted")),
            }
        }
        for user, (dimensions, amount, listed) in users
    ]
    report = [
        cost(amount, listed, query=query, **(dimensions | dict.fromkeys(set(COST_DIMENSIONS) - grouped_by(query))))
        for query, (dimensions, amount, listed) in groups
    ]
    for query in sorted(capped):
        report += [cost("1", query=query, product=f"product-{number}") for number in range(100)]
    if total:
        report.append(cost(*total, query="total"))
    pulls = [pull(1, "cost_report", report)]
    if has_users:
        pulls.append(pull(2, "user_cost_report", user_rows))

    emptied.execute("begin")
    insert_pulls(emptied, pulls)
    keys = FACT_KEYS["cost"]
    rows = emptied.execute(
        f"select {', '.join(keys)}, amount_cents, list_amount_cents, attribution, is_placed, reported_grain, finality, pull_id"
        " from marts.fct_claude_costs_as_of(timestamp '2100-01-01')"
    ).fetchall()
    emptied.execute("rollback")

    lines = {row[: len(keys)]: row[len(keys) :] for row in rows}
    assert len(lines) == len(rows)
    assert lines == oracle.facts(Built(PROJECT, pulls, {}, ""), "cost")
    said = oracle.money({"amount": total[0], "list_amount": total[1]}) if total else [Decimal(0), Decimal(0)]
    assert [sum(row[len(keys)] for row in rows), sum(row[len(keys) + 1] for row in rows)] == said


def grouped_by(query: str) -> set[str]:
    names = set(COST_DIMENSIONS) & set(query.split(":", maxsplit=1)[0].split("_"))
    return names or set(COST_DIMENSIONS)


def pull(sequence: int, endpoint: str, rows: list[dict[str, Any]]) -> Pull:
    moment = dt.datetime.combine(D, dt.time()) + dt.timedelta(days=5)
    return Pull(
        sequence=sequence,
        pull_id=f"pull-{sequence}",
        organization_id="any",
        endpoint=endpoint,
        start=D,
        end=D + dt.timedelta(days=1),
        status="complete",
        fetched_at=moment,
        data_refreshed_at=moment,
        api_organization_id=None,
        rows=[{"activity_date": D, **row} for row in rows],
    )


# the money macros, which are plain Jinja


def money_sql(macro: str, *arguments: Any, **named: Any) -> str:
    environment = jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do"])
    template = environment.from_string((PROJECT / "macros" / "money.sql").read_text())
    return str(getattr(template.module, macro)(*arguments, **named))


@settings(max_examples=200, deadline=None)
@given(st.decimals(min_value=-(10**22), max_value=10**22, places=12))
def test_dollars_are_exact(amount: Decimal) -> None:
    cents = f"cast('{amount:f}' as decimal(38, 12))"
    ((usd,),) = duckdb.sql(f"select {money_sql('cents_to_usd', cents)}").fetchall()
    with localcontext(prec=60):  # Python's default rounds to 28 digits
        assert usd == amount.scaleb(-2)


def test_dollars_too_wide_are_an_error_and_not_a_rounding() -> None:
    wide = "99999999999999999999999999.999999999999"
    assert duckdb.sql(f"select {money_sql('cents_to_usd', f'cast({wide!r} as decimal(38, 12))')}").fetchall() == [
        (Decimal(wide).scaleb(-2),)
    ]
    with pytest.raises(duckdb.Error):
        duckdb.sql(
            f"select {money_sql('cents_to_usd', f'cast({wide!r} as decimal(38, 12)) + cast({wide!r} as decimal(38, 12))')}"
        ).fetchall()


@settings(max_examples=200, deadline=None)
@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=12),
    st.integers(min_value=1, max_value=10**12),
    st.sampled_from([1, 10, 10_000]),
    st.sampled_from([6, 12]),
)
def test_a_quotient_is_rounded_half_away_from_zero_at_its_last_digit(
    amount: Decimal, divisor: int, multiplier: int, digits: int
) -> None:
    sql = money_sql(
        "divide_rounded", f"cast('{amount:f}' as decimal(38, 12))", str(divisor), multiplier=multiplier, digits=digits
    )
    expected = Decimal(
        (2 * abs(int(amount * 10**12)) * multiplier + divisor * 10 ** (12 - digits))
        // (2 * divisor * 10 ** (12 - digits))
    )
    assert duckdb.sql(f"select {sql}").fetchall() == [(expected.scaleb(-digits).copy_sign(amount),)]


@pytest.mark.parametrize("divisor", ["0", "null"])
def test_a_quotient_by_nothing_is_unknown(divisor: str) -> None:
    assert duckdb.sql(f"select {money_sql('divide_rounded', 'cast(1 as decimal(38, 12))', divisor)}").fetchall() == [
        (None,)
    ]
