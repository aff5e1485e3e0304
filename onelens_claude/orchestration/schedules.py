"""When jobs start by the clock.

What is here: the daily run over everything that is due, and weekly housekeeping. What to add here: another schedule.
What must not go here: which days are due (`ledger`), what a job does (`jobs.py`).
"""

import datetime as dt

import dagster as dg
import duckdb

from onelens_claude.api.endpoints import Family, newest_possible_day
from onelens_claude.clock import utc_now
from onelens_claude.errors import SettingsError
from onelens_claude.ledger.held import days_to_pull
from onelens_claude.orchestration.partitions import range_tags
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.settings import Settings


def due_range(connection: duckdb.DuckDBPyConnection | None, settings: Settings) -> tuple[dt.date, dt.date]:
    """Return the oldest and newest day that `daily` looks at.

    From the oldest due day of any endpoint, to the newest day of either family that can exist.
    """
    now = utc_now()
    newest = {family: newest_possible_day(now, family) for family in Family}
    first = min(newest.values())
    if connection is not None:
        for organization in settings.organizations:
            for endpoint in settings.endpoints():
                due = days_to_pull(
                    connection,
                    organization.id,
                    endpoint,
                    revision_days=settings.polling.revision_days,
                    backfill_start=organization.backfill_start,
                    now=now,
                )
                first = min([first, *due[:1]])
    return first, max(newest.values())


@dg.schedule(
    name="daily_schedule",
    job_name="daily_job",
    cron_schedule="30 10 * * *",
    execution_timezone="UTC",
    description="Half an hour after engagement of the day before is aggregated; cost of that day has ended then too.",
)
def daily_schedule(
    context: dg.ScheduleEvaluationContext, onelens: dg.ResourceParam[Onelens]
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run over everything that is due, read from the serving copy."""
    try:
        settings = onelens.settings()
    except SettingsError as error:
        return dg.SkipReason(str(error))
    warehouse = onelens.warehouse()
    if warehouse.serving_path.exists():
        with warehouse.reader() as connection:
            first, last = due_range(connection, settings)
    else:
        first, last = due_range(None, settings)
    return dg.RunRequest(
        run_key=f"daily-{context.scheduled_execution_time:%Y-%m-%dT%H:%M}", tags=range_tags(first, last)
    )


housekeeping_schedule = dg.ScheduleDefinition(
    name="housekeeping_schedule",
    job_name="housekeeping_job",
    cron_schedule="15 3 * * 0",
    execution_timezone="UTC",
    description="Sundays, when nothing else is due.",
)
