"""How days become complete pulls in the warehouse.

What is here: one pull from the API to files (`fetching`), the SQL that parses and checks rows (`parsing`), the atomic
append (`appending`), refused bytes (`quarantine`), and many pulls at once: which there are (`landing`), what is still
asked after a failure (`asking`), batches and outcomes (`work`).
What to add here: a check that an answer must pass before it counts as complete.
What must not go here: HTTP (`api`), table definitions (`warehouse`), which days are due
(`ledger`), anything of Dagster.
"""
