"""Spend by product, model, premium and line item, prices, savings and the past, against plain Python and by hand."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from onelens_claude.ledger.due import overdrawn_days
from tests.dbt_project import oracle
from tests.dbt_project.raw_rows import DAY, D, at
from tests.dbt_project.test_marts import fact

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dbt_project.conftest import Built, Dbt


@pytest.mark.parametrize(("table", "dimension"), [("product_daily_spend", "product"), ("model_daily_spend", "model")])
def test_daily_spend_adds_up_the_facts_with_the_unattributed(built: Built, table: str, dimension: str) -> None:
    expected: dict[tuple[Any, ...], list[Any]] = {}
    people: dict[tuple[Any, ...], set[str]] = {}
    for kind in ("cost", "usage"):
        for (organization_id, day, user_id, product, model, *_), values in oracle.facts(built, kind).items():
            grain = values[-3]
            is_placed = grain != "day" if dimension == "product" else grain in {"key", "product_model"}
            key = organization_id, day, product if dimension == "product" else model, is_placed
            row = expected.setdefault(key, [Decimal(0), Decimal(0), 0])
            measures = [*values[:2], 0] if kind == "cost" else [0, 0, sum(values[:5])]
            row[:] = [a + b for a, b in zip(row, measures, strict=True)]
            people.setdefault(key, set()).update({user_id} - {None})
    rows = built.query(
        f"""select organization_id, activity_date, {dimension}, is_placed, coalesce(amount_cents, 0),
            coalesce(list_amount_cents, 0), coalesce(total_tokens, 0), user_count
        from marts.{table}"""
    )
    assert {row[:4]: list(row[4:7]) for row in rows} == expected
    assert {row[:4]: row[7] for row in rows} == {key: len(users) for key, users in people.items()}
    assert len(rows) == len(expected)


@pytest.mark.parametrize(
    "table", ["product_daily_spend", "model_daily_spend", "premium_daily_spend", "line_item_daily_spend"]
)
def test_the_rows_of_a_day_add_up_to_the_total(built: Built, table: str) -> None:
    unequal = built.query(
        f"""select organization_id, activity_date from marts.cost_reconciliation
        left join (
            select organization_id, activity_date, sum(amount_cents) as said, sum(list_amount_cents) as list_said
            from marts.{table} group by all
        ) using (organization_id, activity_date)
        where coalesce(said, 0) <> coalesce(total_cents, 0) or coalesce(list_said, 0) <> coalesce(list_total_cents, 0)"""
    )
    assert unequal == []


def test_what_is_not_known_is_null_and_not_zero(built: Built) -> None:
    rows = built.query(
        "select amount_cents, total_tokens, finality from marts.product_daily_spend where organization_id = 'usage-only'"
    )
    assert rows[0] == (None, 500, "incomplete")
    rows = built.query(
        "select amount_cents, total_tokens from marts.product_daily_spend where organization_id = 'capped' order by 1"
    )
    assert rows == [(Decimal("19.75"), None), (Decimal("110.25"), None)]


def test_premiums_are_what_the_organisations_own_prices_show_for_the_model_and_else_unknown(built: Built) -> None:
    rows = built.query(
        """select activity_date, speed, inference_geo, amount_cents, standard_amount_cents, standard_list_amount_cents,
            premium_list_amount_usd
        from marts.premium_daily_spend where organization_id = 'premiums' and speed is not null order by all"""
    )
    assert rows == [
        (D, "fast", "global", 56, 11, 12, Decimal("0.5")),  # 54 of tokens, at a sixth; 2 of a search, at any speed
        (D, "standard", "global", 110, 110, 110, 0),
        (D, "standard", "us", 23, 20, 20, Decimal("0.03")),  # one model at 1.1, another at 1.2
        (D + DAY, "fast", "global", 60, 10, 10, Decimal("0.5")),  # by the prices of the day before
        (D + 2 * DAY, "fast", "global", 67, None, None, None),  # one of its models was never paid at standard speed
    ]


def test_a_search_has_a_count_and_a_price_per_thousand(built: Built) -> None:
    rows = built.query(
        """select cost_type, amount_cents, total_tokens, web_search_requests, usd_per_thousand_searches,
            list_usd_per_thousand_searches, user_count
        from marts.line_item_daily_spend where organization_id = 'prices' order by cost_type"""
    )
    assert rows == [
        ("tokens", 781, 3_000_000, None, None, None, 1),
        ("web_search", Decimal("3.5"), None, 3, Decimal("11.666667"), Decimal("16.666667"), 1),
    ]


def test_a_price_is_the_rows_own_amount_over_its_own_tokens(built: Built) -> None:
    rows = built.query(
        """select model, speed, inference_geo, token_type, tokens, usd_per_million_tokens, list_usd_per_million_tokens
        from marts.effective_token_prices where organization_id = 'prices' order by all"""
    )
    assert rows == [
        ("claude-opus-4-6", "fast", "global", "output_tokens", 1_000_000, 6, Decimal("6.6")),
        ("claude-opus-4-6", "fast", "us", "output_tokens", None, None, None),
        (
            "claude-opus-4-6",
            "standard",
            "global",
            "cache_read_input_tokens",
            900_000,
            Decimal("0.333333"),
            Decimal("0.444444"),
        ),
        (
            "claude-opus-4-6",
            "standard",
            "global",
            "uncached_input_tokens",
            300_000,
            Decimal("3.333333"),
            Decimal("3.333333"),
        ),
        ("claude-opus-4-6", "standard", "us", "output_tokens", 300_000, Decimal("0.366667"), Decimal("0.366667")),
        ("claude-sonnet-4-5", None, None, "cache_read_input_tokens", 500_000, Decimal("0.14"), Decimal("0.14")),
    ]


def test_credits_of_a_seat_are_no_price(stages: dict[str, Built]) -> None:
    select = "select plan, count(usd_per_million_tokens) from marts.effective_token_prices where organization_id = 'seats' group by all"
    assert stages["1"].query(select) == [("seat", 0)]
    select = """select plan, web_search_requests, usd_per_thousand_searches, list_usd_per_thousand_searches
        from marts.line_item_daily_spend where organization_id = 'credits' and cost_type = 'web_search'"""
    assert stages["1"].query(select) == [("seat", 40, None, None)]


def test_where_the_cap_hides_what_no_user_is_behind_prices_are_of_users_alone(built: Built) -> None:
    rows = built.query(
        """select usd_per_million_tokens, tokens from marts.effective_token_prices
        where organization_id = 'hidden-prices'"""
    )
    assert rows == [(Decimal(25), 1_000_000)]
    rows = built.query(
        """select amount_cents, web_search_requests, usd_per_thousand_searches from marts.line_item_daily_spend
        where organization_id = 'hidden-prices' and cost_type = 'web_search'"""
    )
    assert rows == [(4, 12, Decimal(10))]


def test_what_no_user_is_behind_is_priced_though_the_api_gives_its_dimensions_as_null(built: Built) -> None:
    rows = built.query(
        """select token_type, tokens, amount_cents, usd_per_million_tokens
        from marts.effective_token_prices where organization_id = 'nulls' order by token_type desc"""
    )
    assert rows == [("uncached_input_tokens", 3_000, 30, 100), ("cache_read_input_tokens", 2_000, 2, 10)]
    rows = built.query(
        "select usd_per_thousand_searches from marts.line_item_daily_spend"
        " where organization_id = 'nulls' and cost_type = 'web_search'"
    )
    assert rows == [(Decimal("12.5"),)]
    rows = built.query("select savings_usd from marts.cache_daily_savings where organization_id = 'nulls'")
    assert rows == [(Decimal("0.18"),)]


def test_what_is_left_out_of_the_prices_is_told_by_day_to_the_last_cent(built: Built) -> None:
    unequal = built.query(
        """with priced as (
            select organization_id, activity_date, sum(amount_cents) as priced
            from marts.effective_token_prices group by all
        )
        select * from marts.line_item_daily_spend left join priced using (organization_id, activity_date)
        where cost_type = 'tokens' and amount_cents <> coalesce(priced, 0) + unpriced_cents"""
    )
    assert unequal == []
    rows = built.query(
        """select cost_type, amount_cents, unpriced_cents, unpriced_usd from marts.line_item_daily_spend
        where organization_id = 'hidden-prices' order by cost_type"""
    )
    assert rows == [
        ("tokens", 2500, 0, 0),
        ("web_search", 4, 0, 0),
        (None, 100, 100, 1),
    ]
    rows = built.query(
        """select activity_date, cost_type, unpriced_cents from marts.line_item_daily_spend
        where organization_id = 'hidden' and activity_date < ? order by all""",
        D + 2 * DAY,
    )
    assert rows == [(D, "tokens", 159), (D, None, 36), (D + DAY, "tokens", 99), (D + DAY, None, 56)]


def test_cache_reads_are_set_against_the_uncached_price_of_their_own_key(built: Built) -> None:
    rows = built.query(
        """select model, cache_read_input_tokens, amount_cents, as_uncached_amount_cents, savings_usd, list_savings_usd
        from marts.cache_daily_savings where organization_id = 'prices' order by model"""
    )
    assert rows == [
        ("claude-opus-4-6", 900_000, 30, 300, Decimal("2.7"), Decimal("2.6")),
        ("claude-sonnet-4-5", 500_000, 7, None, None, None),
    ]


def test_priority_tokens_are_estimated_at_the_organisations_own_list_price_first(built: Built) -> None:
    rows = built.query(
        """select model, total_tokens, unpriced_tokens, price_source, estimated_list_amount_usd, is_estimate
        from marts.priority_tier_estimates where organization_id = 'prices' order by model"""
    )
    assert rows == [
        # 2 million at the observed 3.333333 and 1 million at the seed's 25
        ("claude-opus-4-6", 3_000_000, 0, "mixed", Decimal("31.666666"), True),
        ("unknown-model", 5, 5, None, None, True),
    ]


# what is pulled again


def test_every_day_that_is_pulled_again_is_flagged_and_what_is_flagged_alone_is_the_overdraft_of_a_group(
    built: Built,
) -> None:
    flagged = {
        (organization_id, day): users - total
        for organization_id, day, users, total in built.query(
            """select organization_id, activity_date, user_cents, total_cents from marts.cost_reconciliation
            where status = 'negative_remainder'"""
        )
    }
    held = built.query("select organization_id, list(activity_date) from marts.cost_reconciliation group by all")
    again = {(name, day) for name, days in held for day in overdrawn_days(built.connection, name, days)}
    assert again
    assert again <= set(flagged)
    alone = {key: overdraft for key, overdraft in flagged.items() if key not in again}
    assert alone
    assert {key: overdraft for key, overdraft in alone.items() if overdraft > 0} == {}


# the past


@pytest.mark.parametrize("days_later", [0, 2, 5, 10, 19, 24, 29, 31, 40, 90])
def test_the_fact_as_of_a_moment_is_what_was_known_then(built: Built, days_later: int) -> None:
    moment = at(D, days_later=days_later, hour=12)
    said = fact(built, "cost", table=f"marts.fct_claude_costs_as_of(timestamp '{moment}')")
    assert said == oracle.facts(built, "cost", as_of=moment)


def test_the_fact_as_of_now_is_the_fact(built: Built) -> None:
    assert fact(built, "cost", table="marts.fct_claude_costs_as_of(timestamp '2100-01-01')") == fact(built, "cost")


def test_views_and_history_can_be_read_in_a_copy_of_another_name(built: Built, tmp_path: Path) -> None:
    copy = tmp_path / "serving.duckdb"
    shutil.copyfile(built.path, copy)
    with duckdb.connect(str(copy), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name || '.' || view_name from duckdb_views() where schema_name in ('staging', 'intermediate')"
        ).fetchall()
        assert len(tables) > 15
        for (table,) in tables:
            connection.execute(f"select count(*) from {table}").fetchall()
        connection.execute("select count(*) from marts.fct_claude_costs_as_of(timestamp '2026-04-01')").fetchall()


# the project


def test_money_is_decimal_in_every_schema(built: Built) -> None:
    columns = built.query(
        """select table_schema, table_name, column_name, data_type from information_schema.columns
        where regexp_matches(column_name, 'cents|usd|amount|price|saving|cost$|spend$')
            and column_name not in ('is_list_amount_known', 'price_source', 'unpriced_tokens')
            and column_name not like '%percent%' and not (table_schema = 'claude_raw' and data_type = 'VARCHAR')"""
    )
    assert len(columns) > 60
    wrong = [column for column in columns if not column[3].startswith("DECIMAL(38,")]
    assert wrong == []
    widths = {"cents": "DECIMAL(38,12)", "usd": "DECIMAL(38,14)"}
    for schema, table, column, kind in columns:
        unit = column.rsplit("_", 1)[-1]
        assert kind == widths.get(unit, kind), (schema, table, column)


def test_doubles_are_rates_utilisation_and_the_statistics_of_anomalies_and_forecasts_only(built: Built) -> None:
    names = built.query(
        """select table_name, column_name from information_schema.columns
        where data_type in ('DOUBLE', 'FLOAT', 'REAL') and table_name not like 'int_forecast_%'"""
    )
    allowed = ("_rate", "_utilisation")
    others = {one for one in names if not one[1].endswith(allowed)}
    figures = {"score", "expected", "low", "high", "deviation"}
    assert others == {
        *(("int_person_scores", name) for name in figures - {"deviation"}),
        *(("int_segment_scores", name) for name in figures),
        *(("int_anomaly_days", name) for name in figures - {"deviation"}),
        ("int_anomaly_descriptions", "score"),
        ("int_raised_anomalies", "score"),
        ("cost_anomalies", "score"),
        ("int_today_history", "logarithm"),
        *(("int_today_levels", name) for name in ("own_level", "own_spread", "mean_before", "deviation_before")),
        *(("int_today_peers", name) for name in ("peer_level", "tail")),
        *(("int_today_scores", name) for name in figures - {"deviation"}),
        ("runaways_today", "score"),
    }


def test_every_model_and_column_is_described_and_every_mart_has_a_contract(stages: dict[str, Built], dbt: Dbt) -> None:
    manifest = json.loads((dbt.folder / "target" / "manifest.json").read_text())
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(models) > 30
    for model in models:
        described = {name for name, column in model["columns"].items() if column["description"]}
        there = stages["full"].query(
            "select column_name from information_schema.columns where table_schema = ? and table_name = ?",
            model["schema"],
            model["name"],
        )
        assert {name for (name,) in there} <= described, model["name"]
        assert model["description"].startswith("One row per "), model["name"]
        assert model["schema"] == model["fqn"][1]
        assert model["config"]["meta"]["dagster"]["group"] == model["schema"]
        if model["schema"] == "marts":
            assert model["config"]["contract"]["enforced"], model["name"]
            texts = {name: column["description"].lower() for name, column in model["columns"].items()}
            units = {"usd": "dollar", "cents": "cent"}
            assert [
                n for n, text in texts.items() for unit, word in units.items() if unit in n and word not in text
            ] == []


def test_every_mart_of_days_or_months_says_how_final_it_is(built: Built) -> None:
    without = built.query(
        """select table_name from information_schema.tables where table_schema = 'marts'
        except select table_name from information_schema.columns where column_name = 'finality'"""
    )
    # who and what there is, who is idle as of a date, who was told, what was deleted or erased, and what no day has said yet
    assert {name for (name,) in without} == {
        "alert_log",
        "deletions",
        "dim_claude_organizations",
        "dim_claude_users",
        "dim_teams",
        "erasures",
        "idle_seats",
        "idle_users",
        "spend_forecast",
    }


def test_every_mart_that_divides_cost_says_the_plan(built: Built) -> None:
    """A seat's cost is usage credits: who divides by it must see that. The others are money as the API said it."""
    divided = built.query(
        """select distinct table_name from information_schema.columns
        where table_schema = 'marts' and regexp_matches(column_name, 'usd_per_|cost_per_|discount|savings|premium|_share$')
        except select table_name from information_schema.columns where column_name = 'plan'"""
    )
    assert divided == []


def test_no_day_is_pulled_twice_into_a_revision(built: Built) -> None:
    rows = built.query(
        "select organization_id, activity_date, count(*) filter (is_current) from marts.cost_revisions group by all"
    )
    assert rows
    assert all(current == 1 for _, _, current in rows)
