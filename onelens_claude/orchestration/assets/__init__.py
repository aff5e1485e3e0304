"""The assets: raw pulls (one factory over the endpoints), the dbt models, the serving copy.

What is here: one module per kind of asset. What to add here: another kind.
What must not go here: SQL of a mart (`dbt_project`), how days are pulled (`landing`).
"""
