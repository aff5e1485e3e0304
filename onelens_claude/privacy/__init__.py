"""What the warehouse must forget: days beyond the retention.

What is here: choosing what has to go and deleting it, in raw pages, rows, ledger and models alike. What to add here:
another reason to forget. What must not go here: pulls that history merely does not need (`warehouse/housekeeping.py`),
anything of Dagster.
"""
