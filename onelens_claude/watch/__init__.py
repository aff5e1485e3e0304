"""Looking at the running day: what it has cost so far, and whose agent runs away.

What is here: whose turn it is and how many requests are left (`turns`), what is asked and how its rows are read
(`questions`), what is kept of it (`keeping`), and one look at every organisation (`looking`).
What to add here: another question about the running day.
What must not go here: a pull of a day (`landing`), the rule that tells a runaway (`dbt_project`), anything of Dagster.
"""
