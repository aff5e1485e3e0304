"""Alerts: what a person should hear of, told once to each channel.

What is here: what there is to tell (`fact.py`, `facts.py`), whom it concerns and what is told together
(`folding.py`), what was told and what waits (`log.py`), how it reads in each kind of channel (`messages.py`), how it
leaves (`sending.py`), one evaluation from beginning to end (`delivery.py`); and what stands now (`standing.py`).
What to add here: an event (`facts.py`), a kind of channel (`messages.py`, `sending.py`).
What must not go here: the keys of the settings (`onelens_claude/channels.py`), deciding what a budget or an anomaly is
(`dbt_project`), anything of Dagster.
"""
