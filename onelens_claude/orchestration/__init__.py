"""Everything that is Dagster: assets, checks, jobs, schedules, sensors, partitions, resources and the instance.

What is here: one module per Dagster concept, thin: each turns runs and partitions into calls of the domain rooms and
their results into events. Private parts of Dagster are used in this room only, each with a test that watches it.
What to add here: an asset, check, job, schedule or sensor; `definitions.py` puts them together.
What must not go here: decisions about days, pulls or money, which must work without a scheduler.
"""
