"""Teams pay what their people cost, to the last digit, whatever the map says.

What belongs here: what the models make of a map. What does not: single rules (unit tests beside the models), reading a
map (`tests/test_team_map.py`).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dbt_project.conftest import PROJECT, Built
from tests.dbt_project.oracle import facts
from tests.dbt_project.raw_rows import DAY, D
from tests.dbt_project.scenarios import TEAM_MAP

if TYPE_CHECKING:
    from collections.abc import Iterator

ORGANIZATIONS = ("random-a", "random-b")
WHOLE = 1_000_000


def largest_remainder(amount: Decimal, percents: list[Decimal]) -> list[Decimal]:
    """Divide picocents among percents of 100."""
    picocents = int(abs(amount) * 10**12)
    units = [int(percent * 10_000) for percent in percents]
    shares = [picocents * unit // WHOLE for unit in units]
    by_remainder = sorted(range(len(units)), key=lambda place: (-(picocents * units[place] % WHOLE), place))
    for place in by_remainder[: picocents - sum(shares)]:
        shares[place] += 1
    sign = -1 if amount < 0 else 1
    return [sign * share * Decimal(10) ** -12 for share in shares]


def owners(user: str | None, day: dt.date) -> list[tuple[str, Decimal]]:
    """Return teams and percents by the map, for the two organisations whose users have ids and no addresses."""
    if user is None:
        return [("(unattributed)", Decimal(100))]
    valid = [row for row in TEAM_MAP if row[4] <= day <= row[5]]
    rows = [row for row in valid if row[0] == user] or [row for row in valid if row[0] == "u*" and user[0] == "u"]
    return [(team, percent) for _, _, team, _, _, _, percent in rows] or [("(unmapped)", Decimal(100))]


def team_days(built: Built) -> dict[tuple[str, dt.date, str], Decimal]:
    by_user: dict[Any, Decimal] = defaultdict(Decimal)
    for (organization_id, day, user, *_), (amount, *_rest) in facts(built, "cost").items():
        if organization_id in ORGANIZATIONS:
            by_user[organization_id, day, user] += amount
    expected: dict[Any, Decimal] = defaultdict(Decimal)
    for (organization_id, day, user), amount in by_user.items():
        teams = owners(user, day)
        for (team, _), share in zip(teams, largest_remainder(amount, [one for _, one in teams]), strict=True):
            expected[organization_id, day, team] += share
    return expected


def test_every_team_pays_what_python_finds_to_the_last_digit(built: Built) -> None:
    expected = team_days(built)
    told = {
        row[:3]: row[3]
        for row in built.query(
            """select organization_id, activity_date, team, amount_cents from marts.team_daily_spend
            where organization_id in ('random-a', 'random-b') and amount_cents is not null"""
        )
    }
    assert {key: amount for key, amount in told.items() if amount} == {
        key: amount for key, amount in expected.items() if amount
    }
    assert {"Research", "Operations", "Sales", "(unmapped)", "(unattributed)"} <= {team for _, _, team in told}


@pytest.mark.parametrize("column", ["amount_cents", "list_amount_cents", "amount_usd", "list_amount_usd"])
def test_the_teams_of_a_month_add_up_to_the_fact(built: Built, column: str) -> None:
    unequal = built.query(
        f"""with facts as (
            select organization_id, date_trunc('month', activity_date)::date as month, sum({column}) as cost
            from marts.fct_claude_costs group by all
        ), teams as (
            select organization_id, month, sum({column}) as charged from marts.team_monthly_chargeback group by all
        )
        from facts full join teams using (organization_id, month) where coalesce(cost, 0) <> coalesce(charged, 0)"""
    )
    assert unequal == []


def test_tokens_of_teams_add_up_to_those_of_the_organisation(built: Built) -> None:
    tokens = (
        "select organization_id, sum(total_tokens) from marts.{} group by all having sum(total_tokens) > 0 order by 1"
    )
    assert built.query(tokens.format("team_daily_spend")) == built.query(tokens.format("fct_claude_usage"))


def test_a_person_is_found_by_an_old_address_and_in_each_organisation_by_itself(built: Built) -> None:
    rows = built.query(
        """select distinct organization_id, user_id, team from intermediate.int_team_spend
        where organization_id in ('people', 'people-too') and user_id in ('renamed', 'deleted')
        order by all"""
    )
    assert rows == [
        ("people", "deleted", "People"),
        ("people", "renamed", "Old"),
        ("people-too", "deleted", "Elsewhere"),
    ]


def test_a_team_with_several_cost_centres_in_a_month_shows_them(built: Built) -> None:
    centres = built.query(
        """select month, cost_center from marts.team_monthly_chargeback
        where organization_id = 'random-a' and team = 'Sales' order by month"""
    )
    assert centres[-1] == (dt.date(2026, 4, 1), "4712, 4713")


def test_a_budget_of_each_team_has_what_the_teams_pay_and_none_for_nobody(built: Built) -> None:
    told = built.query(
        """select budgets.organization_id, scope_value, spent_usd, charged.amount_usd
        from marts.budget_status as budgets
        left join marts.team_monthly_chargeback as charged
            on budgets.organization_id = charged.organization_id
            and scope_value = team and period_start = charged.month
        where budget_id in ('team', 'nobodys')"""
    )
    assert all(spent == (charged or 0) for _, _, spent, charged in told)
    assert {team for _, team, _, _ in told} >= {"Research", "Sales", "Old", "(unattributed)"}
    assert "(unmapped)" not in {team for _, team, _, _ in told}
    crossed = built.query("select count(*) from marts.budget_crossings where budget_id = 'team'")
    assert crossed[0][0] > 0


def test_teams_of_the_map_are_listed_in_every_organisation(built: Built) -> None:
    rows = built.query(
        """select team, kind, cost_center, valid_from, valid_to, member_count from marts.dim_teams
        where organization_id = 'people' and team in ('Old', 'Operations', 'Sales', '(unmapped)') order by team"""
    )
    assert rows == [
        ("(unmapped)", "unmapped", None, None, None, 0),
        ("Old", "team", None, None, None, 1),
        ("Operations", "team", None, None, D + 3 * DAY, 0),
        ("Sales", "team", "4712, 4713", None, None, 0),
    ]


PERCENTS = st.lists(st.integers(1, 999_999), max_size=5, unique=True).map(
    lambda cuts: [b - a for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), WHOLE], strict=False)]
)
AMOUNTS = st.one_of(
    st.sampled_from([Decimal("0.000000000001"), Decimal("-0.000000000005"), Decimal(0), Decimal("99999999999999.9")]),
    st.decimals(min_value=-(10**6), max_value=10**9, places=12),
)
MAPS = st.lists(st.tuples(PERCENTS, AMOUNTS, st.integers(0, 10**15)), min_size=100, max_size=100)


@pytest.fixture(scope="module")
def shares_sql() -> str:
    """Return the macro that every model divides with, as SQL over one table of shares."""
    template = jinja2.Environment(autoescape=False).from_string((PROJECT / "macros" / "teams.sql").read_text())
    module: Any = template.module
    return f"""select map, share_number, {module.split_share("amount", digits=12)} as amount,
        {module.split_share("tokens")} as tokens from shares order by map, share_number"""


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        yield connection


@settings(max_examples=10, deadline=None)
@given(maps=MAPS)
def test_a_thousand_generated_splits_add_up_by_the_largest_remainder(
    memory: duckdb.DuckDBPyConnection, shares_sql: str, maps: list[tuple[list[int], Decimal, int]]
) -> None:
    memory.execute("create or replace table maps (map integer, units integer[], amount decimal(38, 12), tokens bigint)")
    memory.executemany(
        "insert into maps values (?, ?, ?, ?)", [[number, *values] for number, values in enumerate(maps)]
    )
    memory.execute(
        """create or replace table shares as
        select map, amount, tokens, units as split_units, unnest(units) as share_units,
            unnest(range(1, len(units) + 1)) as share_number
        from maps"""
    )
    found: dict[int, list[tuple[Decimal, int]]] = defaultdict(list)
    for number, _, amount, tokens in memory.execute(shares_sql).fetchall():
        found[number].append((amount, tokens))
    for number, (units, amount, tokens) in enumerate(maps):
        shares = found[number]
        assert sum(share for share, _ in shares) == amount
        assert sum(share for _, share in shares) == tokens
        assert [share for share, _ in shares] == largest_remainder(amount, [Decimal(unit) / 10_000 for unit in units])
