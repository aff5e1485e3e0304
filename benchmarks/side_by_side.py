"""Right or only fast: our marts beside dlt's tables of the same served organisation.

Both load ten days, two days are then restated (one 30 % down, one to nothing), both load these two days again. dlt is
configured twice, as its documentation suggests: `append`, and `merge` that replaces the days it is given.

What is here: loading with both, the restatement between, and both totals beside the truth. What to add here: another
way to configure dlt. What must not go here: speed and memory (`ingest.py`).
"""

# ruff: noqa: PLC0415 - the measuring process imports this module and must stay small (measuring.py)
from __future__ import annotations

import argparse
import datetime as dt
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks import measuring
from benchmarks.contenders import DIMENSIONS, KEY, dlt_pipeline, dlt_source, onelens_settings

NOW = "2026-11-20T12:00:00Z"
FIRST_DAY, LAST_DAY = dt.date(2026, 11, 1), dt.date(2026, 11, 10)
DOWN, EMPTY = dt.date(2026, 11, 6), dt.date(2026, 11, 9)
API = "/v1/organizations/analytics/"
MODES = {"append": {"write_disposition": "append"}, "merge": {"write_disposition": "merge", "merge_key": "starting_at"}}


def serve_command() -> list[str]:
    """Return the command that serves the organisation to compare on."""
    arguments = ("--port", 0, "--users", 40, "--from", FIRST_DAY, "--to", LAST_DAY, "--seed", 7, "--now", NOW)
    return measuring.python("onelens_claude.fake_api", *arguments, "--rpm", 0, "--key", KEY)


def compare(base_url: str, work: Path) -> dict[str, Any]:
    """Load, restate, load again; return what each holds beside the truth."""
    days = [FIRST_DAY + dt.timedelta(days=number) for number in range((LAST_DAY - FIRST_DAY).days + 1)]
    figures: dict[str, Any] = {}
    for label in ("loaded", "restated"):
        if label == "restated":
            _post(base_url, "control/revisions", {"day": str(DOWN), "kind": "down", "percent": 30})
            _post(base_url, "control/revisions", {"day": str(EMPTY), "kind": "empty"})
            days = [DOWN, EMPTY]
        truth = _get(base_url, f"truth/days?from={FIRST_DAY}&to={LAST_DAY}")["rows"]
        figures[label] = {
            "truth": {day["day"]: day["amount"] for day in truth},
            "onelens": _onelens(base_url, work / "onelens", days),
        }
        for mode, options in MODES.items():
            figures[label][f"dlt {mode}"] = _dlt(base_url, work / mode, days, options)
    figures["fields"] = _fields(base_url)
    figures["dlt columns"] = _dlt_columns(work / "merge")
    return figures


def _onelens(base_url: str, work: Path, days: list[dt.date]) -> dict[str, Any]:
    """Land the days, build the models, read the cost fact."""
    import duckdb

    from benchmarks import models
    from onelens_claude.api.endpoints import ENDPOINTS
    from onelens_claude.orchestration.resources import Onelens
    from onelens_claude.warehouse.settings_tables import store_settings

    work.mkdir(parents=True, exist_ok=True)
    product = Onelens(onelens_settings(work, base_url))
    for name in ("user_cost_report", "cost_report"):
        product.landing(name).land(ENDPOINTS[name], {"bench": days})
    with product.warehouse().writer() as connection:
        store_settings(connection, product.settings())
    project = work.parent / "dbt_project"
    if not project.exists():
        models.copy_project(work.parent)
    failures = models.build(project, product.warehouse().path).failures
    with duckdb.connect(str(product.warehouse().path), read_only=True) as connection:
        rows = connection.execute(
            "select activity_date, sum(amount_cents) from marts.fct_claude_costs group by all"
        ).fetchall()
        kind = connection.execute("select typeof(amount_cents) from marts.fct_claude_costs limit 1").fetchone()
    return {"days": {str(day): str(cents) for day, cents in rows}, "type": kind and kind[0], "failures": failures}


def _dlt(base_url: str, work: Path, days: list[dt.date], options: dict[str, Any]) -> dict[str, Any]:
    """Load the days' user rows and ungrouped totals; return the sums of each day, as text and as double."""
    import duckdb

    work.mkdir(parents=True, exist_ok=True)
    pipeline = dlt_pipeline(work, work / "loaded.duckdb")
    for first, last in ((min(days), max(days)),) if len(days) > 2 else ((day, day) for day in days):  # noqa: PLR2004
        window = {
            "starting_at": f"{first}T00:00:00Z",
            "ending_at": f"{last + dt.timedelta(days=1)}T00:00:00Z",
            "bucket_width": "1d",
        }
        detail = window | {"group_by[]": list(DIMENSIONS), "limit": 1000}
        source = dlt_source(
            base_url, KEY, {"user_cost_report": detail, "cost_report": window | {"limit": 31}}, **options
        )
        pipeline.run(source, loader_file_format="jsonl")
    with duckdb.connect(str(work / "loaded.duckdb")) as connection:
        connection.execute("set TimeZone = 'UTC'")
        users = connection.execute(
            "select starting_at::date, sum(amount::decimal(38, 12)), sum(amount::double) "
            "from api.user_cost_report group by all order by all"
        ).fetchall()
        totals = connection.execute(
            "select bucket.starting_at::date, sum(result.amount::decimal(38, 12)) from api.cost_report as bucket "
            "join api.cost_report__results as result on result._dlt_parent_id = bucket._dlt_id group by all"
        ).fetchall()
        kind = connection.execute("select typeof(amount) from api.user_cost_report limit 1").fetchone()
    return {
        "users": {str(day): str(cents) for day, cents, _ in users},
        "users_double": sum(double for _, _, double in users),
        "days": {str(day): str(cents) for day, cents in totals},
        "type": kind and kind[0],
    }


def _fields(base_url: str) -> list[str]:
    """Return every field of the served user rows and their envelope, as a path."""
    query = "&".join(f"group_by[]={name}" for name in DIMENSIONS)
    window = f"starting_at={FIRST_DAY}T00:00:00Z&ending_at={LAST_DAY}T00:00:00Z&bucket_width=1d"
    answer = _get(base_url, f"{API[1:]}user_cost_report?{window}&{query}&limit=1000")
    fields = {name for name in answer if name not in {"data", "has_more", "next_page"}}
    for row in answer["data"]:
        fields |= {name for name in row if name != "actor"} | {f"actor.{name}" for name in row["actor"]}
    return sorted(fields)


def _dlt_columns(work: Path) -> list[str]:
    import duckdb

    with duckdb.connect(str(work / "loaded.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select column_name from duckdb_columns() where schema_name = 'api' and table_name = 'user_cost_report'"
        ).fetchall()
    return sorted(name.replace("__", ".") for (name,) in found if not name.startswith("_dlt"))


def _get(base_url: str, path: str) -> Any:
    import requests

    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    answer = requests.get(f"{base_url}/{path}", headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.json()


def _post(base_url: str, path: str, body: dict[str, Any]) -> None:
    import requests

    requests.post(f"{base_url}/{path}", json=body, headers={"x-api-key": KEY}, timeout=60).raise_for_status()


def total(days: dict[str, str]) -> Decimal:
    """Add up the amounts of days."""
    return sum((Decimal(amount) for amount in days.values()), Decimal())


def main() -> None:
    """Compare on one served organisation."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("base_url")
    parser.add_argument("work", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    os.environ["ONELENS_NOW"] = NOW
    given.work.mkdir(parents=True)
    given.result.write_text(json.dumps(compare(given.base_url, given.work)))


if __name__ == "__main__":
    main()
