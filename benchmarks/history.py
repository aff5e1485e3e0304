"""Raw tables of a large organisation over many days, written by SQL: what landing would have left, without its pages.

A user-day looks as in `pages.py`: five token types of Claude Code, for six in ten users two of chat, for one in seven
three of cowork; 6.6 cost rows and 1.75 usage rows. Models, context windows and fast mode vary by user and day, so that
a day has some sixty groups, below the API's cap. The organisation's reports hold 2 % more than its users: unattributed.
Every user is active every day: one row of the `users` endpoint with all its counters.

What is here: SQL that writes the days, and SQL that revises one. What to add here: rows of another endpoint. What must
not go here: building the models over it (`models.py`).
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from duckdb import sqltype

from onelens_claude.api.row_types import USER_ACTIVITY
from onelens_claude.settings import Organization
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    import duckdb
    from duckdb.sqltypes import DuckDBPyType

LAST_DAY = dt.date(2026, 11, 26)
FETCHED_AT = dt.datetime(2026, 11, 28, 6)  # noqa: DTZ001 - naive UTC, as stored
ORGANIZATION = "bench"
ENDPOINTS = ("user_cost_report", "cost_report", "user_usage_report", "usage_report")

_USER_DAYS = """
    user_days as (
        select day, user_number, user_number % 100 as share, (user_number * 31 + day_number * 17) % 100 as mood,
            hash(user_number, day_number, $revision::integer) as chance,
            'user_01' || left(md5(user_number::varchar), 22) as actor_user_id,
            'person.' || user_number || '@example.com' as actor_email_address,
            'Person ' || user_number as actor_name, false as actor_deleted
        from (
            select day::date as day, epoch(day)::bigint // 86400 as day_number
            from range($first::timestamp, $last::timestamp, interval 1 day) as days(day)
        ),
        range($users) as users(user_number)
    ),
    work as (
        select *, unnest([1, 2, 3]) as product_number from user_days
    ),
    groups as (
        select
            day, user_number, actor_user_id, actor_email_address, actor_name, actor_deleted, product_number,
            hash(chance, product_number) as chance,
            ['claude_code', 'chat', 'cowork'][product_number] as product,
            ['claude-opus-4-6', 'claude-sonnet-4-5', 'claude-haiku-4-5'][(user_number + product_number) % 3 + 1]
                as model,
            case when product_number = 1 and mood < 10 then '200k-1M' else '0-200k' end as context_window,
            'global' as inference_geo,
            case when product_number = 1 and mood >= 95 then 'fast' else 'standard' end as speed
        from work
        where product_number = 1 or (product_number = 2 and share < 60) or (product_number = 3 and mood < 15)
    )"""
_ACTOR = "actor_user_id, actor_email_address, actor_name, actor_deleted"
_DIMENSIONS = "product, model, context_window, inference_geo, speed"
_COST_DIMENSIONS = f"{_DIMENSIONS}, cost_type, token_type"
_KEYS = "$pull_id as pull_id, $organization as organization_id, 1 as page_number"
_USAGE = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "output_tokens",
)

_ROWS = {
    "user_cost_report": f"""with {_USER_DAYS}, fanned_out as (
            select *, unnest(['uncached_input_tokens', 'output_tokens', 'cache_read_input_tokens',
                'cache_creation.ephemeral_5m_input_tokens', 'cache_creation.ephemeral_1h_input_tokens'
            ][: [5, 2, 3][product_number]]) as token_type
            from groups
        ), priced as (
            select *, ((hash(chance, token_type) % 100000000)::bigint * 0.000001)::decimal(18, 6) as list_cents
            from fanned_out
        )
        select {_KEYS}, 'detail' as query, day as activity_date, {_ACTOR}, {_DIMENSIONS},
            'tokens' as cost_type, token_type, list_cents * 0.9 as amount,
            list_cents as list_amount, 'USD' as currency
        from priced order by day, user_number, product_number""",
    "user_usage_report": f"""with {_USER_DAYS}
        select {_KEYS}, 'detail' as query, day as activity_date, {_ACTOR}, {_DIMENSIONS},
            (chance % 100000)::bigint as uncached_input_tokens, (chance % 900000)::bigint as cache_read_input_tokens,
            {{'ephemeral_5m_input_tokens': (chance % 30000)::bigint, 'ephemeral_1h_input_tokens': 0}} as cache_creation,
            (chance % 20000)::bigint as output_tokens,
            {{'web_search_requests': (chance % 3)::bigint}} as server_tool_use,
            (chance % 50)::bigint as requests
        from groups order by day, user_number, product_number""",
    "cost_report": f"""with details as (
            select activity_date as day, {_COST_DIMENSIONS},
                (sum(amount)::decimal(20, 7) * 1.02)::decimal(38, 12) as cents,
                (sum(list_amount)::decimal(20, 6) * 1.02)::decimal(38, 12) as list_cents
            from claude_raw.user_cost_report_rows where pull_id = $user_pull_id group by all
        ), said as (
            select 'detail' as query, * from details
            union all by name
            select 'total' as query, day, sum(cents) as cents, sum(list_cents) as list_cents from details group by day
        )
        select {_KEYS}, query, day as activity_date, {_COST_DIMENSIONS}, cents as amount,
            list_cents as list_amount, 'USD' as currency
        from said order by day""",
    "usage_report": f"""with said as (
            select case when grouping(product) = 1 then 'total' else 'detail' end as query, activity_date as day,
                {_DIMENSIONS},
                {", ".join(f"(sum({name}) * 51 // 50)::bigint as {name.split('.')[-1]}" for name in _USAGE)},
                sum(server_tool_use.web_search_requests)::bigint as searches, sum(requests)::bigint as requests
            from claude_raw.user_usage_report_rows where pull_id = $user_pull_id
            group by grouping sets ((activity_date), (activity_date, {_DIMENSIONS}))
        )
        select {_KEYS}, query, day as activity_date, {_DIMENSIONS}, uncached_input_tokens,
            cache_read_input_tokens, output_tokens, requests,
            {{'ephemeral_5m_input_tokens': ephemeral_5m_input_tokens,
              'ephemeral_1h_input_tokens': ephemeral_1h_input_tokens}} as cache_creation,
            {{'web_search_requests': searches}} as server_tool_use
        from said order by day""",
}


def _counters(kind: DuckDBPyType, path: str) -> str:
    """Return an expression of this type with some count in every field; an optional block is not told."""
    if kind.id != "struct":
        return f"(hash(chance, '{path}') % 40)::bigint"
    fields = (f"{name}: {_counters(child, f'{path}.{name}')}" for name, child in kind.children)  # type: ignore[arg-type] # a struct's children are types
    return f"{{{', '.join(fields)}}}"


_BLOCKS = ("chat", "claude_code", "cowork", "office", "design", "science")
_USERS = f"""with {_USER_DAYS}
    select printf('%032x', $sequence + (day - $first)) as pull_id, $organization as organization_id, 1 as page_number,
        'detail' as query, day as activity_date,
        {{'id': actor_user_id, 'email_address': actor_email_address, 'email': null}} as user,
        {", ".join(_counters(sqltype(USER_ACTIVITY[f"{one}_metrics"]), one) + f" as {one}_metrics" for one in _BLOCKS)},
        0 as web_search_count, day::varchar as last_activity_date
    from user_days order by day, user_number"""


def write_history(warehouse: Warehouse, users: int, days: int) -> None:
    """Fill a new warehouse with `days` days up to LAST_DAY, in windows of 31 days."""
    organization = Organization(id=ORGANIZATION, api_key_env="ONELENS_BENCH_KEY")
    with warehouse.writer() as connection:
        connection.execute(
            "insert into claude_raw.organizations by name select $id as organization_id, $id as name, "
            "'usage' as plan, 30 as revision_days, $at as configured_at",
            {"id": organization.id, "at": FETCHED_AT},
        )
        first = LAST_DAY - dt.timedelta(days=days - 1)
        while first <= LAST_DAY:
            last = min(first + dt.timedelta(days=30), LAST_DAY)
            _write_window(connection, users, first, last, revision=0)
            first = last + dt.timedelta(days=1)


def revise_day(warehouse: Warehouse, users: int) -> None:
    """Pull one recent day again, with other amounts."""
    day = LAST_DAY - dt.timedelta(days=9)
    with warehouse.writer() as connection:
        _write_window(connection, users, day, day, revision=1)


def _write_window(
    connection: duckdb.DuckDBPyConnection, users: int, first: dt.date, last: dt.date, *, revision: int
) -> None:
    window = {"first": first, "last": last + dt.timedelta(days=1)}
    for number, endpoint in enumerate(ENDPOINTS):
        sequence = _next_sequence(connection)
        keys = {"pull_id": f"{sequence:032x}", "organization": ORGANIZATION}
        parameters: dict[str, object] = dict(keys)
        if endpoint.startswith("user_"):
            parameters |= window | {"users": users, "revision": revision}
        else:
            parameters["user_pull_id"] = f"{sequence - 1:032x}"
        connection.begin()
        connection.execute(f"insert into claude_raw.{endpoint}_rows by name {_ROWS[endpoint]}", parameters)
        _write_pulls(connection, endpoint, sequence, window, days=None, minutes=number + 60 * revision)
        connection.commit()
    sequence = _next_sequence(connection)
    connection.begin()
    connection.execute(
        f"insert into claude_raw.users_rows by name {_USERS}",
        {"sequence": sequence, "organization": ORGANIZATION, "users": users, "revision": revision, **window},
    )
    _write_pulls(connection, "users", sequence, window, days=1, minutes=60 * revision)
    connection.commit()


def _next_sequence(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("select coalesce(max(pull_sequence), 0) + 1 from claude_raw.pulls").fetchone()
    return int(row[0]) if row else 1


def _write_pulls(
    connection: duckdb.DuckDBPyConnection,
    endpoint: str,
    sequence: int,
    window: dict[str, dt.date],
    *,
    days: int | None,
    minutes: int,
) -> None:
    """Write the ledger's row of a window, or one for every `days` days of it."""
    connection.execute(
        f"""insert into claude_raw.pulls by name
        with windows as (
            select unnest(range(0, $last - $first, $days))::integer as day_number
        ), said as (
            select pull_id, count(*) as row_count from claude_raw.{endpoint}_rows
            where pull_id >= printf('%032x', $sequence) group by pull_id
        )
        select $sequence + day_number // $days as pull_sequence, printf('%032x', pull_sequence) as pull_id,
            $organization as organization_id, $endpoint as endpoint, ($first + day_number)::date as window_start,
            (window_start + $days::integer)::date as window_end, 'complete' as status,
            $at + interval ($minutes) minute as fetched_at,
            $at as data_refreshed_at, 1 as page_count, coalesce(row_count, 0) as row_count, 0 as byte_count
        from windows left join said on said.pull_id = printf('%032x', $sequence + day_number // $days)""",
        {
            "sequence": sequence,
            "organization": ORGANIZATION,
            "endpoint": endpoint,
            "days": days or (window["last"] - window["first"]).days,
            "at": FETCHED_AT,
            "minutes": minutes,
            **window,
        },
    )


def main() -> None:
    """Write a history, or revise a day of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("warehouse", type=Path)
    parser.add_argument("users", type=int)
    parser.add_argument("--days", type=int, help="without it, one day is revised")
    given = parser.parse_args()
    warehouse = Warehouse(given.warehouse, given.warehouse.with_name("serving.duckdb"))
    if given.days:
        write_history(warehouse, given.users, given.days)
    else:
        revise_day(warehouse, given.users)


if __name__ == "__main__":
    main()
