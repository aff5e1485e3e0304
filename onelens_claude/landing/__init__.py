"""How days become complete pulls in the warehouse.

What is here: one pull from the API to files (`fetching`), the SQL that parses and checks rows (`parsing`), the atomic
append (`appending`), and many pulls at once (`landing`).
What to add here: a check that an answer must pass before it counts as complete.
What must not go here: HTTP (`api`), table definitions (`warehouse`), which days are due
(`ledger`), anything of Dagster.
"""
