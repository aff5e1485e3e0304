"""What is held, what is due, and what changed: questions to the ledger of pulls.

What is here: the newest complete pull of each day (`held`), the days to pull next (`due`), the state of each endpoint
(`status`), what a backfill will ask (`planning`) and which ones are unfinished (`backfills`), and the stored days that
the API answers differently now (`revisions`).
What to add here: a question about days, pulls or states that more than one caller has.
What must not go here: fetching or writing (`landing`), sums of money (`dbt_project`), anything of Dagster.
"""
