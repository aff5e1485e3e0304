"""The database files.

What is here: the working file and the serving copy, opened, locked and published (`files`), the tables of the raw layer
(`raw_tables`), those that hold the settings (`settings_tables`), and what keeps them small (`housekeeping`).
What to add here: a raw table or column, another way to open, copy or protect a file.
What must not go here: what the rows mean (`dbt_project`), what is asked of the API (`api`), anything of Dagster.
"""
