"""When jobs start by the clock.

What is here: the daily run over everything that is due, and weekly housekeeping. What to add here: another schedule.
What must not go here: which days are due (`ledger/due.py`), what a job does (`jobs.py`).
"""

import dagster as dg

from onelens_claude.errors import SettingsError
from onelens_claude.ledger.due import due_range
from onelens_claude.orchestration.partitions import range_tags
from onelens_claude.orchestration.resources import Onelens


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

SCHEDULES = (daily_schedule, housekeeping_schedule)
