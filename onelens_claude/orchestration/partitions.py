"""The one partitioning: UTC days since the first one the API holds. Each partition covers every organisation.

What is here: the partitions and the tags of a range of them. What to add here: nothing; a second partitioning would
split the graph.
What must not go here: which days are due (`ledger`).
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

from onelens_claude.api.endpoints import FIRST_DAY
from onelens_claude.clock import utc_now

PARTITION_START_TAG = "dagster/asset_partition_range_start"
PARTITION_END_TAG = "dagster/asset_partition_range_end"


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """Return the day partitions; where `ONELENS_NOW` is ahead of the real clock, days up to it exist too."""
    ahead = (utc_now().date() - dt.datetime.now(dt.UTC).date()).days
    return dg.DailyPartitionsDefinition(start_date=str(FIRST_DAY), timezone="UTC", end_offset=max(0, ahead))


def range_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    """Return the tags that make one run cover the partitions from `first` to `last`, both inclusive."""
    return {PARTITION_START_TAG: str(first), PARTITION_END_TAG: str(last)}
