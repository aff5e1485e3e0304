"""What does not add up is never published, and what people read stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.cli.conftest import FIRST, LAST

if TYPE_CHECKING:
    from tests.worlds import World

RANGE = ("--from", FIRST, "--to", LAST)


@pytest.mark.usefixtures("facts_only")
def test_a_fact_that_does_not_add_up_to_the_total_is_not_published(world: World) -> None:
    world.good("backfill", *RANGE)
    published = world.serving.read_bytes()
    with duckdb.connect(str(world.warehouse)) as connection:
        # a day with a total and without lines, written by a build that no test has seen yet
        connection.execute(
            """insert into marts.cost_reconciliation by name
            select * replace (
                date '2026-01-05' as activity_date, 5 as total_cents, 1000000 as built_through_sequence)
            from marts.cost_reconciliation limit 1"""
        )
    refused = world.run("backfill", *RANGE)
    assert refused.exit_code == 1
    assert "reconciliation_is_exact" in refused.text
    assert world.serving.read_bytes() == published

    with duckdb.connect(str(world.warehouse)) as connection:
        connection.execute("delete from marts.cost_reconciliation where activity_date = date '2026-01-05'")
    world.serving.write_bytes(b"damaged " * 10_000)
    world.good("backfill", *RANGE)
    assert world.rows("select count(*) > 0 as is_there from marts.fct_claude_costs") == [{"is_there": True}]
