"""What the tests of landing look at: outcomes, the ledger, and that nothing is there by half or twice.

What belongs here: reading and asserting that several modules of this room need. What does not: tests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onelens_claude.api.endpoints import ENDPOINTS

if TYPE_CHECKING:
    from onelens_claude.landing.work import DayOutcome
    from tests.worlds import World

FIRST, LAST = "2026-11-01", "2026-11-19"
COSTS_BY_DAY = replace(ENDPOINTS["user_cost_report"], window_days=1)


def statuses(outcomes: list[DayOutcome]) -> list[str]:
    return [one.status.value for one in outcomes]


def ledger(here: World, columns: str = "status, error_type, window_start, window_end") -> list[tuple[Any, ...]]:
    return here.query(f"select {columns} from claude_raw.pulls order by pull_sequence")


def assert_nothing_half_or_twice(here: World, endpoint: str = "user_cost_report") -> None:
    """Every page and row belongs to a complete pull, and every complete pull has exactly what its ledger row says."""
    counted = f"row_number() over (partition by pull_id) from claude_raw.{endpoint}"
    first_query = ENDPOINTS[endpoint].queries[0].name  # the one whose rows the ledger counts
    complete = (
        f"from claude_raw.pulls, range({{count}}) as n(number) where status = 'complete' and endpoint = '{endpoint}'"
    )
    for stored, said in (
        (f"select pull_id, {counted}", f"select pull_id, number + 1 {complete.format(count='page_count')}"),
        (
            f"select pull_id, {counted}_rows where query = '{first_query}'",
            f"select pull_id, number + 1 {complete.format(count='row_count')}",
        ),
    ):
        assert here.query(f"({stored} except all {said}) union all ({said} except all {stored})") == []
    assert (
        here.query(f"from claude_raw.{endpoint}_rows anti join claude_raw.{endpoint} using (pull_id, page_number)")
        == []
    )
    assert here.query(
        "select count(*) - count(distinct pull_sequence), count(*) - count(distinct pull_id) from claude_raw.pulls"
    ) == [(0, 0)]


def assert_holds_the_truth(here: World, first: str = FIRST, last: str = LAST, name: str = "acme") -> None:
    assert here.amount(where=f"organization_id = '{name}'") == here.true_amount(first, last, name) > 0
    assert_nothing_half_or_twice(here)
