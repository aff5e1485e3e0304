"""Tokens of the priority tier, from `/usage` over HTTP to the estimate, against the server's truth and list prices."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from onelens_claude.fake_api.truth import TOKEN_FIELDS, cents_per_token
from tests.organizations import organization

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dbt_project.conftest import Dbt
    from tests.worlds import World

DAY = dt.date(2026, 11, 10)


def test_priority_tokens_are_estimated_at_list_price_and_never_inside_the_cost(
    make_world: Callable[..., World], dbt: Dbt
) -> None:
    here = make_world({"acme": organization(users=40, service_tiers=True, first_day=DAY)})
    for endpoint in ("user_cost_report", "user_usage_report", "cost_report", "usage_report", "usage"):
        here.land(endpoint, str(DAY))
    assert here.requests("/usage")
    here.store_settings()
    dbt(here.settings.warehouse_path, "build", "--select", "list_prices", "--exclude-resource-type", "unit_test")
    dbt(here.settings.warehouse_path, "run", "--select", "+priority_tier_estimates", "+cost_reconciliation")

    true = here.truth("acme", "usage", str(DAY), str(DAY), by="model,service_tier")["rows"]
    expected: dict[str, tuple[int, Decimal]] = {}
    for row in (row for row in true if row["service_tier"] == "priority"):
        prices = cents_per_token(row["model"], "0-200k", "global", "standard")
        cents = sum(price * row[name] for price, name in zip(prices, TOKEN_FIELDS, strict=True))
        expected[row["model"]] = (row["total_tokens"], Decimal(cents))
    rows = here.query(
        "select model, total_tokens, estimated_list_amount_cents, unpriced_tokens, is_estimate, price_source"
        " from marts.priority_tier_estimates"
    )
    assert expected
    assert {row[0]: row[1:3] for row in rows} == expected
    assert {row[3:5] for row in rows} == {(0, True)}
    assert "observed" in Counter(row[5] for row in rows)

    spent = here.query("select sum(amount_cents), sum(list_amount_cents) from marts.fct_claude_costs")
    (day,) = here.truth("acme", "days", str(DAY), str(DAY))["rows"]
    assert spent == [(Decimal(day["amount"]), Decimal(day["list_amount"]))]
