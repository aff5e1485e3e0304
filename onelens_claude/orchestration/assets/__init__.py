"""The assets: raw pulls (one factory over the endpoints), the dbt models, the serving copy."""
