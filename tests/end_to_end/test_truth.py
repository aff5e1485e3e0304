"""Every mart against the servers' truth, to the last digit: after a backfill, and after the daily run that follows it.

The truth comes from the servers' base events by a path of its own; nothing here adds up what a mart says.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.fake_api.pricing import TOKEN_TYPES
from onelens_claude.fake_api.truth import cents_per_token
from tests.amounts import share_of

from .conftest import BACKFILL_AT, DAILY_AT, FIRST, LAST, REVISED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.worlds import World

ORGANIZATIONS = ("acme", "globex", "initech")
DIMENSIONS = ("product", "model", "context_window", "inference_geo", "speed")
COST_KEYS = ("day", "user_id", *DIMENSIONS, "cost_type", "token_type")
USAGE_KEYS = ("day", "user_id", *DIMENSIONS)
COUNTERS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "output_tokens",
    "total_tokens",
    "web_search_requests",
    "requests",
)
COUNTS_OF_PEOPLE = (
    "assigned_seat_count",
    "pending_invite_count",
    "daily_active_user_count",
    "weekly_active_user_count",
    "monthly_active_user_count",
)
AMOUNTS = ("amount", "list_amount")
Sums = dict[tuple[Any, ...], list[Any]]


class Stage:
    """One organisation at one of the two moments: its marts and its truth."""

    def __init__(self, world: World, name: str, moment: str) -> None:
        self.world, self.name, self.moment = world, name, moment
        self.last = LAST if moment == BACKFILL_AT else LAST + dt.timedelta(days=1)
        self.database = world.folder / "data" / "first.duckdb" if moment == BACKFILL_AT else world.serving

    def rows(self, table: str, where: str = "true") -> list[dict[str, Any]]:
        """Return the organisation's rows of a mart; `day` is the date as the truth writes it."""
        found = self.world.rows(
            f"from marts.{table} where organization_id = ? and ({where})", self.name, path=self.database
        )
        return [{**row, "day": str(row["activity_date"])} if "activity_date" in row else row for row in found]

    def answer(self, topic: str, **parameters: Any) -> dict[str, Any]:
        """Return what the server says is true at this moment."""
        before, self.world.now = self.world.now, dt.datetime.fromisoformat(self.moment)
        try:
            return self.world.truth(self.name, topic, **{"first": str(FIRST), "last": str(self.last), **parameters})
        finally:
            self.world.now = before

    def truth(self, topic: str, **parameters: Any) -> list[dict[str, Any]]:
        return list(self.answer(topic, **parameters)["rows"])


@pytest.fixture(params=[BACKFILL_AT, DAILY_AT], ids=["after-the-backfill", "after-the-daily"])
def moment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=ORGANIZATIONS)
def stage(request: pytest.FixtureRequest, loaded: World, moment: str) -> Stage:
    return Stage(loaded, request.param, moment)


def sums(rows: list[dict[str, Any]], by: Sequence[str], values: Sequence[str]) -> Sums:
    """Add up exactly by keys; what adds up to nothing is left out."""
    found: Sums = defaultdict(lambda: [Decimal(0)] * len(values))
    for row in rows:
        key = tuple(row[name] for name in by)
        found[key] = [old + Decimal(row[name] or 0) for old, name in zip(found[key], values, strict=True)]
    return {key: numbers for key, numbers in found.items() if any(numbers)}


def of_users(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["user_id"] is not None]


def unattributed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["user_id"] is None]


@pytest.mark.parametrize(
    "by", [("user_id",), ("product",), ("model",), ("day", "user_id"), COST_KEYS], ids=lambda by: "+".join(by)[:16]
)
def test_what_each_user_cost_is_the_truth_by(stage: Stage, by: tuple[str, ...]) -> None:
    fact = stage.rows("fct_claude_costs", "attribution = 'user'")
    true = of_users(stage.truth("costs"))
    assert sums(fact, by, ("amount_cents", "list_amount_cents")) == sums(true, by, AMOUNTS)
    assert sums(true, by, AMOUNTS)


def test_what_no_user_is_behind_is_the_truth_at_full_grain_and_by_product_and_model_where_the_cap_hides_groups(
    stage: Stage,
) -> None:
    fact = stage.rows("fct_claude_costs", "attribution = 'unattributed'")
    assert all(row["user_id"] is None for row in fact)
    true = unattributed(stage.truth("costs"))
    capped = {row["day"] for row in stage.rows("cost_reconciliation", "capped")}
    whole = [[row for row in rows if row["day"] not in capped] for rows in (fact, true)]
    assert sums(whole[0], COST_KEYS, ("amount_cents", "list_amount_cents")) == sums(whole[1], COST_KEYS, AMOUNTS)
    by = ("day", "product", "model")
    assert sums(fact, by, ("amount_cents", "list_amount_cents")) == sums(true, by, AMOUNTS)


@pytest.mark.parametrize("name", ["acme", "initech"])
def test_what_the_cap_of_100_groups_hides_is_asked_for_in_pieces(loaded: World, moment: str, name: str) -> None:
    """Only what no filter can name is not known by every dimension: null, and products the filter refuses."""
    stage = Stage(loaded, name, moment)
    true = sums(unattributed(stage.truth("costs")), COST_KEYS, AMOUNTS)
    capped = stage.rows("cost_reconciliation", "capped")
    assert len(capped) > 5
    days = {row["day"] for row in capped}
    lines = [row for row in stage.rows("fct_claude_costs", "attribution = 'unattributed'") if row["day"] in days]
    by_key = sums([row for row in lines if row["cost_type"]], COST_KEYS, ("amount_cents", "list_amount_cents"))
    assert by_key.items() <= true.items()
    rests = [row for row in lines if row["cost_type"] is None]
    assert rests
    assert {row["product"] for row in rests} <= {None, "other", "cc_security_autopatch"}
    hidden: dict[str, Decimal] = defaultdict(Decimal)
    for key in set(true) - set(by_key):
        line = dict(zip(COST_KEYS, key, strict=True))
        hidden[line["day"]] += true[key][0] if line["product"] is None else 0
    assert {row["day"]: row["unplaced_cents"] for row in capped} == {day: hidden[day] for day in days}


def test_dollars_are_cents_times_one_hundredth_with_no_digit_lost(stage: Stage) -> None:
    for table in ("fct_claude_costs", "user_daily_spend", "user_monthly_spend"):
        for row in stage.rows(table):
            for name in AMOUNTS:
                assert row[f"{name}_usd"] == row[f"{name}_cents"] * Decimal("0.01")


def test_the_fact_names_what_it_is_about(stage: Stage) -> None:
    rows = stage.rows("fct_claude_costs")
    assert {row["currency"] for row in rows} == {"USD"}
    assert {row["attribution"] for row in rows} == {"user", "unattributed"}
    assert {row["user_id"] is None for row in rows if row["attribution"] == "user"} == {False}
    pulls = {row["pull_id"] for row in stage.world.rows("from claude_raw.pulls", path=stage.database)}
    assert {row["pull_id"] for row in rows} <= pulls


def test_tokens_and_requests_are_the_truth_at_full_grain(stage: Stage) -> None:
    fact = stage.rows("fct_claude_usage")
    true = stage.truth("usage")
    assert sums(of_users(fact), USAGE_KEYS, COUNTERS) == sums(of_users(true), USAGE_KEYS, COUNTERS)
    by = ("day", "product", "model")
    assert sums(unattributed(fact), by, COUNTERS) == sums(unattributed(true), by, COUNTERS)
    for name in DIMENSIONS[:2]:
        assert sums(of_users(fact), (name,), COUNTERS) == sums(of_users(true), (name,), COUNTERS)


def test_every_day_reconciles_with_the_true_totals(stage: Stage) -> None:
    true = {row["day"]: row for row in stage.truth("days")}
    rows = {row["day"]: row for row in stage.rows("cost_reconciliation")}
    assert set(rows) == set(true)
    for day, row in rows.items():
        assert row["status"] == "exact"
        for prefix in ("", "list_"):
            assert row[f"{prefix}total_cents"] == Decimal(true[day][f"{prefix}amount"])
            assert row[f"{prefix}user_cents"] == Decimal(true[day][f"user_{prefix}amount"])
            assert row[f"{prefix}unattributed_cents"] == Decimal(true[day][f"unattributed_{prefix}amount"])


def test_the_fact_adds_up_to_the_ungrouped_total_on_every_day(loaded: World, moment: str) -> None:
    """The invariant of the public interface, for both amounts, with no organisation or day left out on either side."""
    sql = """
        with fact as (
            select organization_id, activity_date, sum(amount_cents) as cents, sum(list_amount_cents) as list_cents
            from marts.fct_claude_costs group by all
        )
        select organization_id, activity_date, total_cents, cents, list_total_cents, list_cents
        from marts.cost_reconciliation full join fact using (organization_id, activity_date)"""
    found = loaded.rows(sql, path=Stage(loaded, "acme", moment).database)
    assert len(found) == 4 * (36 if moment == BACKFILL_AT else 37)
    for row in found:
        assert row["total_cents"] == (row["cents"] or 0), row
        assert row["list_total_cents"] == (row["list_cents"] or 0), row


def test_the_whole_sum_is_the_truth_and_has_more_digits_than_a_float(stage: Stage) -> None:
    overview = stage.answer("")
    rows = stage.rows("fct_claude_costs")
    total = sum(row["amount_cents"] for row in rows)
    assert total == Decimal(overview["amount"])
    assert sum(row["list_amount_cents"] for row in rows) == Decimal(overview["list_amount"])
    assert Decimal(repr(float(total))) != total or stage.name == "initech"


def test_users_are_who_the_api_says_they_are(loaded: World) -> None:
    """At the backfill's moment: later, nothing new may have been said about somebody who left in between."""
    gone = set()
    for name in ORGANIZATIONS:
        stage = Stage(loaded, name, BACKFILL_AT)
        billed = {row["user_id"]: row for row in stage.truth("users")}
        rows = {row["user_id"]: row for row in stage.rows("dim_claude_users")}
        assert set(billed) <= set(rows)
        active = {user for day in stage.truth("engagement") for user in day["users"]}
        assert set(rows) == set(billed) | active
        for user_id, person in billed.items():
            row = rows[user_id]
            assert row["email"] == person["email_address"], user_id
            assert row["name"] == person["name"], user_id
            assert row["is_deleted"] == person["deleted"], user_id
            if person["account_deleted"]:
                gone.add("deleted")
                assert (row["email"], row["name"]) == (None, "Deleted User")
            elif person["deleted"]:
                gone.add("departed")
    assert gone == {"deleted", "departed"}


def test_a_user_is_first_and_last_seen_on_the_days_of_their_activity(stage: Stage) -> None:
    days: dict[str, set[str]] = defaultdict(set)
    for row in of_users(stage.truth("usage", by="day,user_id")):
        days[row["user_id"]].add(row["day"])
    for day in stage.truth("engagement"):
        for user_id in day["users"]:
            days[user_id].add(day["day"])
    late = {str(LAST + dt.timedelta(days=1))} if (stage.name, stage.moment) == ("acme", DAILY_AT) else set()
    for row in stage.rows("dim_claude_users"):
        # acme's engagement of the newest day had not arrived
        if late and max(days[row["user_id"]]) in late and str(row["last_seen_date"]) not in late:
            continue
        # a user whom the revision took away was seen all the same
        assert str(row["first_seen_date"]) in {min(days[row["user_id"]]), str(REVISED)}
        assert str(row["last_seen_date"]) in {max(days[row["user_id"]]), str(REVISED)}


def test_organizations_are_named_with_plan_and_the_id_the_api_gives(stage: Stage) -> None:
    (row,) = stage.rows("dim_claude_organizations")
    true = stage.answer("")
    assert row["api_organization_id"] == true["organization_id"]
    assert row["plan"] == true["plan"]
    assert (row["first_known_date"], row["complete_through"]) == (FIRST, stage.last)


def _check_user_spend(stage: Stage, table: str, period: str, cut: int) -> None:
    """Compare spend per user and period with the truth, where `cut` characters of a day name its period."""

    def by_period(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "period": row["day"][:cut]} for row in rows]

    rows = [{**row, "period": str(row[period])[:cut]} for row in stage.rows(table)]
    costs, usage = by_period(of_users(stage.truth("costs"))), by_period(of_users(stage.truth("usage")))
    everything = by_period(stage.truth("costs"))
    key = ("period", "user_id")
    assert len(rows) == len({tuple(row[name] for name in key) for row in rows})
    amounts = sums(costs, key, AMOUNTS)
    assert sums(rows, key, ("amount_cents", "list_amount_cents")) == amounts
    assert sums(rows, key, COUNTERS) == sums(usage, key, COUNTERS)
    totals = sums(everything, ("period",), AMOUNTS)
    products, models = sums(costs, (*key, "product"), AMOUNTS), sums(costs, (*key, "model"), AMOUNTS)
    for row in rows:
        here = (row["period"], row["user_id"])
        spent = amounts.get(here, [Decimal(0), Decimal(0)])
        assert row["discount_cents"] == spent[1] - spent[0]
        more = [user for (when, user), other in amounts.items() if when == here[0] and other[0] > spent[0]]
        assert row["spend_rank"] == 1 + len(more)
        assert row["organization_share"] == share_of(spent[0], totals[here[0],][0])
        for name, found in (("product", products), ("model", models)):
            best = [(values, one[2]) for one, values in found.items() if one[:2] == here and one[2] is not None]
            if best:
                assert row[f"top_{name}"] in {one for values, one in best if values == max(best)[0]}


def test_daily_spend_per_user_with_rank_share_and_favourites_is_the_truth(stage: Stage) -> None:
    _check_user_spend(stage, "user_daily_spend", "activity_date", 10)


def test_monthly_spend_per_user_with_rank_share_and_favourites_is_the_truth(stage: Stage) -> None:
    _check_user_spend(stage, "user_monthly_spend", "month", 7)


def published(row: dict[str, Any], **standard: str) -> tuple[Decimal, ...]:
    """Return the published list prices of a key in cents per token, in the order of the counters."""
    return cents_per_token(*(standard.get(name, row[name]) for name in DIMENSIONS[1:]))


@pytest.mark.parametrize("name", ["acme", "initech"])
def test_a_token_and_a_search_are_priced_as_published(loaded: World, moment: str, name: str) -> None:
    """Before discount, the price of every key must come out as the published one, though cost is joined with usage."""
    stage = Stage(loaded, name, moment)
    rows = [row for row in stage.rows("effective_token_prices") if row["list_usd_per_million_tokens"] is not None]
    kinds = {token_type: number for number, token_type in enumerate(TOKEN_TYPES)}
    for row in rows:
        price = published(row)[kinds[row["token_type"]]] * 10_000
        assert row["list_usd_per_million_tokens"] == price, row
        assert row["usd_per_million_tokens"] <= price
    assert {row["token_type"] for row in rows} == set(kinds)
    without = [row for row in stage.rows("effective_token_prices") if row["list_usd_per_million_tokens"] is None]
    assert without == []

    searched = [row for row in stage.rows("line_item_daily_spend") if row["cost_type"] == "web_search"]
    assert {row["list_usd_per_thousand_searches"] for row in searched} == {10}
    true = sums(stage.truth("usage"), ("day",), ("web_search_requests",))
    assert sums(searched, ("day",), ("web_search_requests",)) == true


@pytest.mark.parametrize("name", ["acme", "initech"])
def test_a_premium_is_what_the_same_tokens_cost_more_than_at_standard_speed_and_global_routing(
    loaded: World, moment: str, name: str
) -> None:
    stage = Stage(loaded, name, moment)
    expected: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in stage.truth("usage"):
        prices = published(row, speed="standard", inference_geo="global")
        counts = [row[counter] for counter in COUNTERS[:5]]
        cents = sum((price * count for price, count in zip(prices, counts, strict=True)), Decimal(0))
        expected[row["day"], row["speed"], row["inference_geo"]] += cents + row["web_search_requests"]
    rows = [row for row in stage.rows("premium_daily_spend") if row["speed"] == "fast" or row["inference_geo"] == "us"]
    assert "us" in {row["inference_geo"] for row in rows}
    assert name == "initech" or "fast" in {row["speed"] for row in rows}
    for row in rows:
        standard = expected[row["day"], row["speed"], row["inference_geo"]]
        assert row["standard_list_amount_cents"] == standard
        assert row["premium_list_amount_usd"] == (row["list_amount_cents"] - standard) / 100


def test_adoption_counts_people_as_the_server_does(stage: Stage) -> None:
    true = {row["day"]: row for row in stage.truth("engagement")}
    rows = {row["day"]: row for row in stage.rows("org_daily_adoption")}
    if (stage.name, stage.moment) == ("acme", DAILY_AT):
        assert str(stage.last) not in rows  # its engagement is four days late at that moment
        del true[str(stage.last)]
    assert set(rows) == set(true)
    for day, row in rows.items():
        if stage.moment == DAILY_AT and dt.date.fromisoformat(day) >= REVISED:
            continue  # the server derives people from the revised events, also of days whose summary had settled
        for name in COUNTS_OF_PEOPLE:
            assert row[name] == true[day][name], (day, name)
        assert row["daily_seat_utilisation"] == pytest.approx(
            row["daily_active_user_count"] / row["assigned_seat_count"], rel=1e-12
        )


def test_a_revised_day_was_found_pulled_again_and_its_history_is_kept(loaded: World) -> None:
    sql = """select * from marts.cost_revisions where organization_id = ? and activity_date = ?
        order by revision_number"""
    for name in ORGANIZATIONS:
        said = {}
        for moment in (BACKFILL_AT, DAILY_AT):
            (true,) = Stage(loaded, name, moment).truth("days", first=str(REVISED), last=str(REVISED))
            said[moment] = {key: Decimal(true[key]) for key in AMOUNTS}
        rows = loaded.rows(sql, name, REVISED)
        assert len(rows) >= 2, name
        first, last = rows[0], rows[-1]
        assert (first["total_cents"], first["list_total_cents"]) == tuple(said[BACKFILL_AT].values())
        assert (last["total_cents"], last["list_total_cents"]) == tuple(said[DAILY_AT].values())
        assert first["total_cents"] != last["total_cents"]
        assert first["change_cents"] is None
        assert sum(row["change_cents"] for row in rows[1:]) == last["total_cents"] - first["total_cents"]
        assert [row["is_current"] for row in rows] == [False] * (len(rows) - 1) + [True]


def test_a_day_that_shrinks_to_nothing_is_corrected(loaded: World) -> None:
    day = f"organization_id = 'initech' and activity_date = '{REVISED}'"
    for table in ("fct_claude_costs", "fct_claude_usage", "user_daily_spend"):
        assert loaded.rows(f"from marts.{table} where {day}", path=loaded.folder / "data" / "first.duckdb")
        assert not loaded.rows(f"from marts.{table} where {day}")
    (row,) = loaded.rows(f"from marts.cost_reconciliation where {day}")
    assert (row["total_cents"], row["status"]) == (0, "exact")


def test_a_day_that_did_not_change_keeps_its_one_pull(loaded: World) -> None:
    rows = loaded.rows(
        """select distinct activity_date from marts.cost_revisions
        where revision_number > 1 and organization_id = 'acme'"""
    )
    assert [row["activity_date"] for row in rows] == [REVISED]


def test_two_organizations_with_one_key_on_two_servers_stay_apart(loaded: World) -> None:
    ids = loaded.rows("select count(distinct api_organization_id) as n from marts.dim_claude_organizations")
    assert ids == [{"n": 4}]
    users = {
        name: {row["user_id"] for row in Stage(loaded, name, BACKFILL_AT).rows("dim_claude_users")}
        for name in ORGANIZATIONS
    }
    assert not users["acme"] & users["initech"]


@pytest.mark.parametrize("file", ["warehouse", "serving"])
def test_money_is_decimal_in_every_column_of_both_files(loaded: World, file: str) -> None:
    columns = loaded.rows(
        """select schema_name || '.' || table_name as place, column_name as name, data_type as kind
        from duckdb_columns()
        where schema_name in ('claude_raw', 'staging', 'intermediate', 'marts')""",
        path=getattr(loaded, file),
    )
    money = [one for one in columns if one["name"].endswith(("_cents", "_usd"))]
    assert len(money) > 40
    for one in money:
        kind = "DECIMAL(38,12)" if one["name"].endswith("_cents") else "DECIMAL(38,14)"
        assert one["kind"] == kind, one
    for one in columns:
        if "amount" in one["name"] and not one["place"].startswith("claude_raw."):
            assert "DOUBLE" not in one["kind"], one
            assert "FLOAT" not in one["kind"], one


def test_the_serving_copy_is_the_working_file(loaded: World) -> None:
    sql = (
        "select organization_id, activity_date, total_cents, total_pull_id from marts.cost_reconciliation order by all"
    )
    assert loaded.rows(sql) == loaded.rows(sql, path=loaded.warehouse)
