"""The ways to load one window of `user_cost_report` into DuckDB that are compared, one process each.

Every contender asks the same server for the same pages and says how many rows it stored and what they add up to.
Each is written as its own documentation would have it, with its fastest documented options.

What is here: one function per contender, run as a process of its own. What to add here: another contender. What must
not go here: measuring and comparing them (`measuring.py`, `ingest.py`).
"""

# ruff: noqa: PLC0415 - each contender pays for its own imports, and for no others
from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.pages import INDEX

if TYPE_CHECKING:
    from collections.abc import Callable

    from onelens_claude.settings import Settings

PATH = "/v1/organizations/analytics/user_cost_report"
DIMENSIONS = ("product", "model", "context_window", "inference_geo", "speed", "cost_type", "token_type")
KEY = "sk-ant-api01-benchmark"


class Job:
    """What a contender is asked to load, and where to."""

    def __init__(self, pages: Path, base_url: str, work: Path) -> None:
        index = json.loads((pages / INDEX).read_text())
        self.pages = pages
        self.names: list[str] = index["pages"]
        self.first_day: str = index["first_day"]
        self.days: int = index["days"]
        self.base_url = base_url
        self.work = work

    @property
    def parameters(self) -> dict[str, Any]:
        """The query, cursor excepted."""
        return {
            "starting_at": f"{self.first_day}T00:00:00Z",
            "ending_at": f"{self.last_day_exclusive}T00:00:00Z",
            "bucket_width": "1d",
            "group_by[]": list(DIMENSIONS),
            "limit": 1000,
        }

    @property
    def last_day_exclusive(self) -> str:
        """The window's end."""
        import datetime as dt

        return str(dt.date.fromisoformat(self.first_day) + dt.timedelta(days=self.days))

    @property
    def database(self) -> Path:
        """The file to load into."""
        return self.work / "loaded.duckdb"


def download(job: Job) -> dict[str, Any]:
    """Floor, first part: get every page with requests and drop it."""
    import requests

    size = 0
    with requests.Session() as session:
        for number in range(1, len(job.names) + 1):
            answer = session.get(job.base_url + PATH, params={"page": f"page_{number:06d}"}, timeout=60)
            size += len(answer.content)
    return {"bytes": size}


def read_json(job: Job) -> dict[str, Any]:
    """Floor, second part: DuckDB's read_json of the same bytes from local files, explicit types, every column."""
    import duckdb

    text = "VARCHAR"
    actor = "STRUCT(type VARCHAR, user_id VARCHAR, email_address VARCHAR, name VARCHAR, deleted BOOLEAN)"
    kinds = {"starting_at": text, "ending_at": text, "actor": actor, **dict.fromkeys(DIMENSIONS, text)}
    kinds |= {"amount": text, "list_amount": text, "currency": text, "requests": "BIGINT"}
    row = "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in kinds.items()) + ")[]"
    with duckdb.connect() as connection:
        connection.execute(
            f"create table rows_read as select unnest(data, recursive := true) from read_json("
            f"$files, columns = {{data: '{row}'}}, format = 'unstructured', maximum_object_size = 67108864)",
            {"files": [str(job.pages / name) for name in job.names]},
        )
        return _stored(connection, "rows_read", "amount")


def onelens(job: Job) -> dict[str, Any]:
    """Ours: the product's landing, from the client to the committed pull: verbatim pages, typed rows, ledger."""
    import datetime as dt

    from onelens_claude.api.endpoints import ENDPOINTS
    from onelens_claude.orchestration.resources import Onelens

    first = dt.date.fromisoformat(job.first_day)
    days = [first + dt.timedelta(days=number) for number in range(job.days)]
    product = Onelens(onelens_settings(job.work, job.base_url))
    endpoint = ENDPOINTS["user_cost_report"]
    outcomes = product.landing(endpoint.name).land(endpoint, {"bench": days})
    bad = [outcome for outcome in outcomes if outcome.status != "loaded"]
    if bad:
        raise SystemExit(f"not loaded: {bad[:3]}")
    total = sum(outcome.amount_cents or 0 for outcome in outcomes)
    return {
        "rows": sum(outcome.row_count for outcome in outcomes),
        "total_cents": str(total),
        "file_bytes": product.warehouse().path.stat().st_size,
    }


def onelens_settings(work: Path, base_url: str, **polling: int) -> Settings:
    """Return settings of one organisation at `base_url` that is not slowed down, unless `polling` says so."""
    from onelens_claude.settings import Settings

    os.environ["ONELENS_BENCH_KEY"] = KEY
    return Settings.model_validate(
        {
            "source": work / "onelens.yaml",
            "organizations": [{"id": "bench", "api_key_env": "ONELENS_BENCH_KEY", "base_url": base_url}],
            "polling": {"requests_per_minute": 100_000, **polling},
        }
    )


def pandas(job: Job) -> dict[str, Any]:
    """Load with requests, json, pandas.json_normalize and an insert per page, in one transaction."""
    import duckdb
    import pandas as pd
    import requests

    cursor, is_first = None, True
    with duckdb.connect(str(job.database)) as connection, requests.Session() as session:
        connection.begin()
        while cursor or is_first:
            parameters = job.parameters | ({"page": cursor} if cursor else {})
            answer = session.get(job.base_url + PATH, params=parameters, timeout=60).json()
            frame = pd.json_normalize(answer["data"])
            connection.register("page", frame)
            connection.execute(
                "create table user_cost as select * from page" if is_first else "insert into user_cost from page"
            )
            connection.unregister("page")
            cursor, is_first = answer["next_page"] if answer["has_more"] else None, False
        connection.commit()
        return _stored(connection, "user_cost", "amount")


def official(job: Job) -> dict[str, Any]:
    """Load with the official client, its models, pandas and an insert per page."""
    import duckdb
    import pandas as pd
    from anthropic import Anthropic

    is_first = True
    parameters = job.parameters
    group_by = parameters.pop("group_by[]")
    client = Anthropic(api_key=KEY, base_url=job.base_url)
    with client, duckdb.connect(str(job.database)) as connection:
        connection.begin()
        first_page = client.beta.organization.analytics.user_cost_report.list(**parameters, group_by=group_by)
        for answer in first_page.iter_pages():
            frame = pd.json_normalize([row.to_dict(mode="json") for row in answer.data])
            connection.register("page", frame)
            connection.execute(
                "create table user_cost as select * from page" if is_first else "insert into user_cost from page"
            )
            connection.unregister("page")
            is_first = False
        connection.commit()
        return _stored(connection, "user_cost", "amount")


def dlt(job: Job) -> dict[str, Any]:
    """Load with dlt: rest_api source, loader files as jsonl, into DuckDB."""
    import duckdb

    pipeline = dlt_pipeline(job.work, job.database)
    pipeline.run(
        dlt_source(job.base_url, KEY, {"user_cost_report": job.parameters}),
        loader_file_format="jsonl",
        write_disposition="append",
    )
    with duckdb.connect(str(job.database)) as connection:
        return _stored(connection, "api.user_cost_report", "amount")


def dlt_pipeline(work: Path, database: Path) -> Any:
    """Return a pipeline whose state and files stay in `work`, without progress bars or telemetry."""
    os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR", DLT_DATA_DIR=str(work / "dlt"))
    import dlt as library  # type: ignore[import-not-found]

    return library.pipeline(
        pipeline_name="bench",
        pipelines_dir=str(work / "dlt"),
        destination=library.destinations.duckdb(str(database)),
        dataset_name="api",
    )


def dlt_source(base_url: str, key: str, parameters: dict[str, dict[str, Any]], **resource: Any) -> Any:
    """Return a rest_api source with one resource per endpoint name in `parameters`."""
    from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

    return rest_api_source(
        {
            "client": {
                "base_url": f"{base_url}/v1/organizations/analytics/",
                "headers": {"x-api-key": key, "anthropic-version": "2023-06-01"},
                "paginator": {"type": "cursor", "cursor_path": "next_page", "cursor_param": "page"},
            },
            "resources": [
                {
                    "name": name,
                    "endpoint": {"path": name, "params": query, "data_selector": "data"},
                    **resource,
                }
                for name, query in parameters.items()
            ],
        }
    )


WITHOUT_PANDAS = ("download", "read_json", "onelens")
"""The product does not bring pandas. Where it is installed, DuckDB imports it (0.4 s) to look at a query's first
parameter; it is here for other contenders, so it is kept from ours and from the floor alike."""

CONTENDERS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "download": download,
    "read_json": read_json,
    "onelens": onelens,
    "pandas": pandas,
    "official": official,
    "dlt": dlt,
}


def _stored(connection: Any, table: str, amount: str) -> dict[str, Any]:
    rows, total = connection.execute(f"select count(*), sum({amount}::decimal(18, 12)) from {table}").fetchone()
    return {"rows": rows, "total_cents": str(total)}


def main() -> None:
    """Run one contender once."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("pages", type=Path)
    parser.add_argument("base_url")
    parser.add_argument("work", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    if given.name in WITHOUT_PANDAS:
        sys.modules["pandas"] = None  # type: ignore[assignment]
    figures = CONTENDERS[given.name](Job(given.pages, given.base_url, given.work))
    given.result.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
