"""What the warehouse must forget or must not know: days beyond the retention, people and organisations to be erased.

What is here: choosing what has to go and taking it out of raw pages, rows, ledger, models and other files. What to add
here: another reason to forget, another way to hide. What must not go here: pulls that history merely does not need
(`warehouse/housekeeping.py`), anything of Dagster.
"""
