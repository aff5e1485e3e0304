"""Days whose groups pass the cap of 100, from the local server over HTTP to the facts, against the server's truth."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from onelens_claude.api.endpoints import COST_DIMENSIONS, USAGE_DIMENSIONS
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dbt_project.conftest import Dbt
    from tests.worlds import World

DAY = dt.date(2026, 11, 10)
GRAINS = {"cost": COST_DIMENSIONS, "usage": USAGE_DIMENSIONS}
MEASURES: dict[str, dict[str, Any]] = {
    "cost": {"amount_cents": "amount", "list_amount_cents": "list_amount"},
    "usage": dict.fromkeys(("total_tokens", "web_search_requests", "requests"), None),
}
FACTS = {"cost": "fct_claude_costs", "usage": "fct_claude_usage"}


def by(rows: list[dict[str, Any]], keys: tuple[str, ...], measure: str) -> dict[tuple[Any, ...], Decimal]:
    added: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        added[tuple(row[key] for key in keys)] += Decimal(row[measure])
    return {key: amount for key, amount in added.items() if amount}


def test_what_filters_cannot_reach_is_placed_by_product_and_model_and_the_rest_by_product(
    make_world: Callable[..., World], dbt: Dbt
) -> None:
    specs = {
        # one product and model alone has more than 100 groups
        "regions": organization("sk-ant-api01-regions", users=300, regions=40, first_day=DAY, seed=4),
        # products and models have, and so have the models of one product
        "models": organization("sk-ant-api01-models", users=400, wide=True, first_day=DAY, seed=2),
    }
    here = make_world(specs)
    for endpoint in ("user_cost_report", "user_usage_report", "cost_report", "usage_report"):
        here.land(endpoint, str(DAY), organizations=tuple(specs))
    here.store_settings()
    dbt(here.settings.warehouse_path, "run", "--select", "+cost_reconciliation", "+fct_claude_usage")

    told = {name for (name,) in here.query("select distinct query from claude_raw.cost_report_rows")}
    assert any("models[]" in name for name in told)
    for name in specs:
        for kind, dimensions in GRAINS.items():
            said = facts(here, kind, name)
            true = here.truth(name, {"cost": "costs", "usage": "usage"}[kind], str(DAY), str(DAY))["rows"]
            for measure, column in MEASURES[kind].items():
                for grain in ((), ("product",), ("user_id", *dimensions)):
                    mine = [row for row in said if not grain or row["user_id"] or grain == ("product",)]
                    theirs = [row for row in true if not grain or row["user_id"] or grain == ("product",)]
                    assert by(mine, grain, measure) == by(theirs, grain, column or measure), (name, kind, grain)
                if name == "regions":
                    grain = ("user_id", "product", "model")
                    assert by(said, grain, measure) == by(true, grain, column or measure), (name, kind)

    rests = [row for row in facts(here, "cost", "regions") if not row["user_id"] and row["cost_type"] is None]
    assert {row["product"] for row in rests} >= {"claude_code", "other", None}
    assert {row["model"] is None for row in rests if row["product"]} == {False}
    rests = [row for row in facts(here, "cost", "models") if not row["user_id"] and row["cost_type"] is None]
    assert any(row["product"] and row["model"] is None for row in rests)
    (row,) = here.query("select capped, status from marts.cost_reconciliation where organization_id = 'regions'")
    assert row == (True, "exact")


def facts(here: World, kind: str, name: str) -> list[dict[str, Any]]:
    columns = ("user_id", *GRAINS[kind], *MEASURES[kind])
    rows = here.query(f"select {', '.join(columns)} from marts.{FACTS[kind]} where organization_id = ?", name)
    return [dict(zip(columns, row, strict=True)) for row in rows]
