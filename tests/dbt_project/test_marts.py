"""What the marts say about organisations made by hand (`scenarios.py`), after incremental builds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.api.endpoints import COST_DIMENSIONS, USAGE_DIMENSIONS
from onelens_claude.warehouse.raw_tables import is_current
from tests.amounts import share_of
from tests.dbt_project import oracle
from tests.dbt_project.raw_rows import DAY, D

if TYPE_CHECKING:
    from tests.dbt_project.conftest import Built, Dbt

FACT_KEYS = {
    "cost": ("organization_id", "activity_date", "user_id", *COST_DIMENSIONS),
    "usage": ("organization_id", "activity_date", "user_id", *USAGE_DIMENSIONS),
}
FACT_MEASURES = {
    "cost": ("amount_cents", "list_amount_cents"),
    "usage": (*oracle.TOKENS, "web_search_requests"),
}
FACTS = {"cost": "fct_claude_costs", "usage": "fct_claude_usage"}


def fact(built: Built, kind: str, *, table: str | None = None) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    keys = FACT_KEYS[kind]
    measures = ", ".join(f"coalesce({name}, 0)" for name in FACT_MEASURES[kind])
    rows = built.query(
        f"select {', '.join(keys)}, {measures}, attribution, is_placed, reported_grain, finality, pull_id from {table or 'marts.' + FACTS[kind]}"
    )
    lines = {row[: len(keys)]: row[len(keys) :] for row in rows}
    assert len(lines) == len(rows), "the grain is not unique"
    return lines


def lines_of(built: Built, organization_id: str, day: dt.date = D) -> dict[tuple[Any, ...], Decimal]:
    """Return (user, product, model, cost type) to the amount."""
    rows = built.query(
        "select user_id, product, model, cost_type, amount_cents from marts.fct_claude_costs"
        " where organization_id = ? and activity_date = ?",
        organization_id,
        day,
    )
    return {row[:4]: row[4] for row in rows}


def reconciliation(built: Built, organization_id: str, day: dt.date = D) -> dict[str, Any]:
    (row,) = built.dicts(
        "select * from marts.cost_reconciliation where organization_id = ? and activity_date = ?", organization_id, day
    )
    return row


@pytest.mark.parametrize("stage", ["1", "2", "3", "full"])
@pytest.mark.parametrize("kind", ["cost", "usage"])
def test_the_facts_are_what_plain_python_makes_of_the_pulls(stages: dict[str, Built], stage: str, kind: str) -> None:
    expected = oracle.facts(stages[stage], kind)
    assert fact(stages[stage], kind) == expected
    assert len(expected) > 50


@pytest.mark.parametrize("stage", ["1", "2", "3", "full"])
def test_every_day_adds_up_to_the_ungrouped_total_to_the_last_digit(stages: dict[str, Built], stage: str) -> None:
    unequal = stages[stage].query(
        """select * from marts.cost_reconciliation
        left join (
            select organization_id, activity_date, sum(amount_cents) as said, sum(list_amount_cents) as list_said
            from marts.fct_claude_costs group by all
        ) using (organization_id, activity_date)
        where coalesce(said, 0) <> coalesce(total_cents, 0) or coalesce(list_said, 0) <> coalesce(list_total_cents, 0)
            or user_cents + unattributed_cents <> total_cents
            or placed_cents + unplaced_cents <> unattributed_cents"""
    )
    assert unequal == []


def test_an_incremental_build_equals_a_full_refresh_row_by_row(stages: dict[str, Built]) -> None:
    tables = stages["3"].query(
        "select table_schema, table_name from information_schema.tables where table_schema in ('marts', 'intermediate')"
    )
    assert len(tables) > 10
    for schema, table in tables:
        # sums of doubles differ in their last digits from build to build; what is made of them does not
        columns = [name for name, kind in stages["3"].query(
            "select column_name, data_type from information_schema.columns where table_schema = ? and table_name = ?",
            schema, table,
        ) if name != "built_through_sequence" and not (kind == "DOUBLE" and table.startswith("int_forecast_"))]  # fmt: skip
        select = f"select {', '.join(columns)} from {schema}.{table} order by all"
        assert stages["3"].query(select) == stages["full"].query(select), table


def test_every_incremental_model_kept_the_days_that_no_new_pull_touched(stages: dict[str, Built], dbt: Dbt) -> None:
    """So that the comparison with a full refresh compares something, for each of them and in an old month too."""
    models = dbt.incremental_models()
    del models["intermediate.int_person_scores"]  # nobody here has a history; test_anomalies.py builds it twice
    assert len(models) > 15
    for model, columns in models.items():
        period = "month" if "month" in columns else "activity_date"
        builds = stages["3"].query(
            f"select min({period}), max({period}) from {model} where organization_id in ('working', 'months')"
            " group by built_through_sequence order by built_through_sequence"
        )
        # an old day and the newest were written after days that lie between them
        assert len(builds) > 1, model
        assert builds[0][0] < D.replace(month=3, day=31), model
        assert builds[-1][1] >= D.replace(month=4, day=1), model


def test_the_build_is_silent_about_the_project(stages: dict[str, Built]) -> None:
    for built in stages.values():
        assert "WARN=0 ERROR=0" in built.output
        assert "eprecat" not in built.output
        assert "[WARNING]" not in built.output


# days and revisions


def test_a_day_that_loses_a_user_shows_the_newest_answer(stages: dict[str, Built]) -> None:
    assert lines_of(stages["1"], "shrinking") == {
        ("u1", "chat", "claude-opus-4-6", "tokens"): Decimal("10.5"),
        ("u2", "chat", "claude-opus-4-6", "tokens"): Decimal(7),
        (None, "chat", "claude-opus-4-6", "tokens"): Decimal("2.5"),
    }
    assert lines_of(stages["2"], "shrinking") == {
        ("u1", "chat", "claude-opus-4-6", "tokens"): Decimal("10.5"),
        (None, "chat", "claude-opus-4-6", "tokens"): Decimal("1.5"),
    }


def test_a_day_that_shrinks_to_nothing_is_corrected(stages: dict[str, Built]) -> None:
    assert lines_of(stages["1"], "shrinking", D + DAY)
    assert lines_of(stages["2"], "shrinking", D + DAY) == {}
    assert lines_of(stages["2"], "shrinking", D + 2 * DAY)
    assert lines_of(stages["3"], "shrinking", D + 2 * DAY) == {}
    assert reconciliation(stages["3"], "shrinking", D + 2 * DAY)["total_cents"] == 0
    left = stages["2"].query("select activity_date from marts.user_daily_spend where organization_id = 'shrinking'")
    assert {day for (day,) in left} == {D, D + 2 * DAY}


def test_a_failed_pull_and_one_made_while_the_clock_was_fast_are_not_the_truth(built: Built) -> None:
    assert reconciliation(built, "remainder")["total_cents"] == Decimal("50.5")


def test_revisions_show_what_each_pull_said_and_the_change(built: Built) -> None:
    rows = built.query(
        """select revision_number, total_cents, change_cents, change_usd, is_current from marts.cost_revisions
        where organization_id = 'shrinking' and activity_date <= ? order by activity_date, revision_number""",
        D + DAY,
    )
    assert rows == [
        (1, 20, None, None, False),
        (2, 12, -8, Decimal("-0.08"), True),
        (1, 20, None, None, False),
        (2, 0, -20, Decimal("-0.2"), True),
    ]


def test_finality_is_a_property_of_the_pulls_behind_a_day(built: Built) -> None:
    rows = built.query(
        "select finality from marts.fct_claude_costs where organization_id = 'finality' order by activity_date"
    )
    assert [finality for (finality,) in rows] == [
        "incomplete",
        "provisional",
        "provisional",
        "incomplete",
        "final",
        "provisional",
        "provisional",
    ]
    (organization,) = built.dicts("select * from marts.dim_claude_organizations where organization_id = 'people'")
    assert organization["complete_through"] is None  # usage was never pulled, so no day is complete


# the remainder


def test_the_remainder_is_placed_where_the_groups_allow(built: Built) -> None:
    assert lines_of(built, "remainder") == {
        ("u1", "chat", "claude-opus-4-6", "tokens"): Decimal("10.000000000001"),
        ("u2", "chat", "claude-opus-4-6", "tokens"): 0,
        (None, "chat", "claude-opus-4-6", "tokens"): 4,
        (None, "claude_code", "claude-opus-4-6", "tokens"): 30,
        (None, "cowork", "claude-opus-4-6", "tokens"): 0,
        (None, None, None, "code_execution"): 2,
        (None, None, None, None): Decimal("4.499999999999"),
    }
    row = reconciliation(built, "remainder")
    assert (row["user_cents"], row["placed_cents"], row["unplaced_cents"]) == (
        Decimal("10.000000000001"),
        36,
        Decimal("4.499999999999"),
    )
    assert row["status"] == "exact"


def test_fully_discounted_lines_keep_their_list_amount(built: Built) -> None:
    rows = built.query(
        """select user_id, product, list_amount_usd from marts.fct_claude_costs
        where organization_id = 'remainder' and amount_cents = 0 order by user_id nulls last"""
    )
    assert rows == [("u2", "chat", Decimal("0.05")), (None, "cowork", Decimal("0.03"))]


def test_a_capped_answer_is_exact_for_its_keys_and_the_rest_stays_unplaced(built: Built) -> None:
    row = reconciliation(built, "capped")
    assert row["capped"]
    assert (row["total_cents"], row["placed_cents"], row["unplaced_cents"]) == (
        130,
        Decimal("109.75"),
        Decimal("19.75"),
    )
    assert not reconciliation(built, "nearly-capped")["capped"]
    by_model = dict(
        built.query(
            "select model, amount_cents from marts.fct_claude_costs"
            " where organization_id = 'capped' and attribution = 'unattributed'"
        )
    )
    assert len(by_model) == 111
    assert by_model["model-000"] == Decimal("0.75")
    assert by_model["model-099"] == 1
    assert by_model["model-104"] == 1
    assert by_model[None] == Decimal("19.75")


@pytest.mark.parametrize("kind", ["cost", "usage"])
def test_what_the_cap_hides_is_placed_at_the_finest_grain_a_complete_answer_tells(built: Built, kind: str) -> None:
    measure = {"cost": "amount_cents", "usage": "output_tokens"}[kind]
    opus, sonnet = "claude-opus-4-6", "claude-sonnet-4-6"
    places = {("chat", opus, f"geo-{number:03d}"): 1 for number in range(1, 100)}
    expected = [
        places
        | {("chat", opus, f"geo-{number:03d}"): 1 for number in range(100, 160)}
        | {
            ("chat", opus, None): 3,
            ("other", opus, None): 5,
            ("other", None, None): 2,
            (None, opus, None): 6,
            ("cc_security_autopatch", sonnet, None): 11,
            (None, None, None): 9,  # 8 of them are the API's own nulls
        },
        places
        | {("chat", opus, None): 3, ("chat", sonnet, None): 10, ("chat", None, None): 7, ("other", None, None): 26}
        | {(None, None, None): 10},
        places | {(None, None, None): 196},
        places | {("chat", None, None): 4, ("other", None, None): 26, (None, None, None): 16},
    ]
    for number, lines in enumerate(expected):
        rows = built.query(
            f"select product, model, inference_geo, {measure} from marts.{FACTS[kind]}"
            " where organization_id = 'hidden' and activity_date = ? and user_id is null",
            D + number * DAY,
        )
        assert {row[:3]: row[3] for row in rows} == lines, number
    if kind == "cost":
        unplaced = [reconciliation(built, "hidden", D + number * DAY)["unplaced_cents"] for number in range(4)]
        assert unplaced == [9, 10, 196, 16]
        assert all(reconciliation(built, "hidden", D + number * DAY)["capped"] for number in range(4))


def test_a_day_with_one_of_its_two_answers_says_so(stages: dict[str, Built]) -> None:
    first = stages["1"]
    row = reconciliation(first, "partial")
    assert (row["status"], row["finality"], row["user_cents"], row["unattributed_cents"]) == (
        "missing_users",
        "incomplete",
        None,
        20,
    )
    assert sum(lines_of(first, "partial").values()) == 20
    row = reconciliation(first, "partial", D + DAY)
    assert (row["status"], row["total_cents"], row["user_cents"]) == ("missing_total", None, 3)
    assert lines_of(first, "partial", D + DAY) == {}
    assert reconciliation(stages["2"], "partial", D + DAY)["status"] == "exact"
    days = first.query(
        "select activity_date, status, total_cents from marts.cost_reconciliation where organization_id = 'partial'"
    )
    assert (D + 2 * DAY) not in {day for day, _, _ in days}, "a failed pull is not an answer"
    assert (D + 3 * DAY, "exact", 0) in days


def test_a_negative_remainder_is_kept_and_flagged_unless_it_is_dust(built: Built) -> None:
    row = reconciliation(built, "negative")
    assert (row["status"], row["unattributed_cents"], row["negative_remainder_cents"]) == ("negative_remainder", -1, -1)
    row = reconciliation(built, "negative", D + DAY)
    assert (row["status"], row["unattributed_cents"]) == ("exact", Decimal("-0.000000000001"))


def test_a_credit_of_the_organisation_is_a_line_below_zero_and_no_answer_of_another_moment(built: Built) -> None:
    user = {("u1", "chat", "claude-opus-4-6", "tokens"): 100}
    assert lines_of(built, "taken-back") == user | {(None, None, None, "credit"): -5}
    assert lines_of(built, "taken-back", D + DAY) == user | {(None, None, None, None): -5}
    days = [reconciliation(built, "taken-back", D + number * DAY) for number in range(3)]
    assert [(day["status"], day["negative_remainder_cents"], day["credit_cents"]) for day in days] == [
        ("exact", -5, -5),
        ("exact", -5, -5),
        ("negative_remainder", -6, -5),
    ]


# forms and people


def test_older_spellings_are_one_name_and_unknown_names_flow_through(built: Built) -> None:
    assert lines_of(built, "older-forms") == {
        ("u1", "claude-tag", "claude-opus-4-6", "tokens"): 7,
        ("u1", "other", "brand_new_model", "tokens"): 2,
        (None, "claude-tag", "claude-opus-4-6", "tokens"): 1,
    }
    row = reconciliation(built, "older-forms")
    assert (row["is_list_amount_known"], row["list_total_cents"]) == (False, 10)
    assert built.query("select email from marts.dim_claude_users where organization_id = 'older-forms'") == [
        ("u1@old.example",)
    ]


def test_two_spellings_of_a_name_in_a_capped_answer_and_its_pieces_are_added_up(built: Built) -> None:
    lines = {key[1:3]: amount for key, amount in lines_of(built, "spellings").items() if amount > 1}
    assert lines == {("claude-tag", "claude-opus-4-6"): 8, ("chat", "claude-opus-4-6"): 4}
    assert reconciliation(built, "spellings")["unplaced_cents"] == 0


def test_people_are_what_the_newest_answer_says_and_deletion_is_for_good(stages: dict[str, Built]) -> None:
    select = (
        "select user_id, email, name, is_deleted from marts.dim_claude_users where organization_id = ? order by user_id"
    )
    assert ("deleted", "secret@x.example", "Secret", False) in stages["1"].query(select, "people")
    for stage in ("2", "3", "full"):
        assert stages[stage].query(select, "people") == [
            ("deleted", None, "Deleted User", True),
            ("deleted-old-form", None, "Deleted User", True),
            ("departed", "left@x.example", "Left", True),
            ("departed-quiet", None, "Quiet", True),
            ("nameless", None, None, False),
            ("renamed", "after@x.example", "After", False),
        ], stage
    assert stages["3"].query(select, "people-too") == [("deleted", "kept@y.example", "Kept", False)]


def test_no_mart_shows_the_address_or_name_of_a_deleted_account(built: Built) -> None:
    columns = built.query(
        "select table_name, column_name from information_schema.columns where table_schema = 'marts' and data_type = 'VARCHAR'"
    )
    for table, column in columns:
        found = built.query(f"select count(*) from marts.{table} where lower({column}) like '%secret%'")
        assert found == [(0,)], (table, column)


def test_the_organisation_dimension_knows_the_api_id_told_last(built: Built) -> None:
    rows = built.query(
        "select name, plan, api_organization_id from marts.dim_claude_organizations where organization_id = 'people'"
    )
    assert rows == [("People", "usage", "org_new")]


# users' spend


def test_a_seat_users_usage_is_there_without_cost_and_a_changed_plan_follows(stages: dict[str, Built]) -> None:
    select = "select user_id, plan, amount_cents, total_tokens, requests, spend_rank from marts.user_daily_spend where organization_id = ? order by user_id"
    assert stages["1"].query(select, "seats") == [("u1", "seat", 0, 500, 3, 1), ("u2", "seat", 0, 0, None, 1)]
    assert stages["2"].query(select, "seats") == [("u1", "usage", 0, 500, 3, 1), ("u2", "usage", 0, 0, None, 1)]
    assert stages["1"].query(select, "usage-only") == [("u1", "usage", None, 500, None, None)]


def test_requests_nobody_told_are_unknown_and_not_zero(built: Built) -> None:
    rows = built.query(
        """select user_id, is_placed, total_tokens, requests from marts.fct_claude_usage
        where organization_id in ('seats', 'older-forms') order by organization_id desc, user_id nulls last, is_placed"""
    )
    assert rows == [
        ("u1", True, 500, 3),
        ("u2", True, 0, None),
        (None, False, 100, None),
        (None, True, 100, None),
        ("u1", True, 5, 2),
        (None, False, 3, None),
    ]


@pytest.mark.parametrize("period", ["day", "month"])
def test_user_spend_adds_up_the_facts(built: Built, period: str) -> None:
    table, column = {"day": ("user_daily_spend", "activity_date"), "month": ("user_monthly_spend", "month")}[period]
    expected: dict[tuple[Any, ...], list[Any]] = {}
    totals: dict[tuple[Any, ...], Decimal] = {}
    by_product: dict[tuple[Any, ...], dict[str, list[Any]]] = {}
    for kind in ("cost", "usage"):
        for (organization_id, day, user_id, product, *_), values in oracle.facts(built, kind).items():
            when = day.replace(day=1) if period == "month" else day
            if kind == "cost":
                totals[organization_id, when] = totals.get((organization_id, when), Decimal(0)) + values[0]
            if user_id is None:
                continue
            added = expected.setdefault((organization_id, when, user_id), [Decimal(0), Decimal(0), 0])
            measures = [*values[:2], 0] if kind == "cost" else [0, 0, sum(values[:5])]
            added[:] = [a + b for a, b in zip(added, measures, strict=True)]
            if product:
                spent = by_product.setdefault((organization_id, when, user_id), {}).setdefault(product, [0, 0, 0])
                spent[:] = [a + b for a, b in zip(spent, measures, strict=True)]
    rows = built.dicts(f"select * from marts.{table}")
    assert {(row["organization_id"], row[column], row["user_id"]) for row in rows} == set(expected)
    for row in rows:
        key = row["organization_id"], row[column], row["user_id"]
        amount, listed, tokens = expected[key]
        assert (row["amount_cents"] or 0, row["list_amount_cents"] or 0, row["total_tokens"] or 0) == (
            amount,
            listed,
            tokens,
        )
        if row["amount_cents"] is None:
            continue
        assert row["amount_usd"] == amount / 100
        assert row["discount_cents"] == listed - amount
        others = [values[0] for other, values in expected.items() if other[:2] == key[:2]]
        assert row["spend_rank"] == 1 + sum(other > amount for other in others)
        total = totals.get(key[:2])
        assert row["organization_share"] == (share_of(amount, total) if total else None)
        best = sorted(by_product.get(key, {}).items(), key=lambda item: ([-value for value in item[1]], item[0]))
        assert row["top_product"] == (best[0][0] if best else None)


def test_a_month_says_how_many_of_its_days_it_holds_and_up_to_which_day_it_is_complete(built: Built) -> None:
    rows = built.query(
        """select distinct organization_id, month, day_count, known_day_count, is_complete, finality, first_known_date,
            complete_through
        from marts.user_monthly_spend where organization_id in ('shrinking', 'seats', 'working')
        order by organization_id, month"""
    )
    february, march, april = (dt.date(2026, month, 1) for month in (2, 3, 4))
    assert rows == [
        ("seats", march, 31, 1, False, "incomplete", D, None),
        ("shrinking", march, 31, 2, False, "incomplete", D, None),
        ("shrinking", april, 30, 1, False, "incomplete", april, april),
        ("working", february, 28, 28, True, "provisional", february, february + 27 * DAY),
        ("working", march, 31, 31, True, "provisional", march, march + 30 * DAY),
        ("working", april, 30, 1, False, "incomplete", april, april),
    ]
    assert built.query(
        "select complete_through from marts.user_monthly_spend where organization_id = 'usage-only'"
    ) == [(None,)]


def test_adoption_shows_what_the_summaries_say_and_divides_by_seats(built: Built) -> None:
    rows = built.query(
        """select daily_active_user_count, daily_adoption_rate, monthly_seat_utilisation, weekly_seat_utilisation
        from marts.org_daily_adoption where organization_id = 'adoption' order by activity_date"""
    )
    assert rows == [(2, 25.0, 0.75, None), (0, None, None, None)]


def test_organisations_do_not_mix(built: Built) -> None:
    owners = {pull.pull_id: pull.organization_id for pull in built.pulls}
    for table in FACTS.values():
        rows = built.query(f"select distinct organization_id, pull_id from marts.{table}")
        assert all(owners[pull_id] == organization_id for organization_id, pull_id in rows)


def test_every_table_and_column_of_a_build_and_of_what_it_reads_carries_its_description(built: Built) -> None:
    said = built.query(
        """select schema_name || '.' || table_name || '.' || column_name, comment from duckdb_columns()
        where schema_name in ('claude_raw', 'staging', 'intermediate', 'marts') and table_name <> 'tested_builds'
        union all
        select schema_name || '.' || table_name, comment from duckdb_tables()
        where schema_name in ('claude_raw', 'staging', 'intermediate', 'marts') and table_name <> 'tested_builds'
        union all
        select schema_name || '.' || view_name, comment from duckdb_views()
        where schema_name in ('claude_raw', 'staging', 'intermediate', 'marts')"""
    )
    assert len(said) > 1300
    assert [name for name, comment in said if not comment] == []
    comments = dict(said)
    assert comments["claude_raw.cost_report"].endswith("of `cost_report`, verbatim.")
    assert comments["claude_raw.cost_report_rows.amount"].startswith("US cents after discount")
    assert comments["claude_raw.cost_report_rows.product"].startswith("Product as this answer spells it")
    assert comments["claude_raw.cost_report_rows.speed"] == comments["staging.stg_cost_report.speed"]
    assert is_current(built.connection), "a description must not make the raw tables look like those of another version"
