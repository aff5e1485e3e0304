"""The benchmark's own code at tiny sizes: that it runs, and that it would notice a contender that loses something."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from benchmarks import contenders, history, ingest, measuring, pages, report, stages, storage
from onelens_claude.warehouse.files import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pages.write_pages(tmp_path / "pages", users=30, days=2)
    return tmp_path / "pages"


@pytest.fixture
def base_url(folder: Path) -> Iterator[str]:
    with measuring.serving(measuring.python("benchmarks.page_server", folder)) as address:
        yield address


def test_the_measuring_process_stays_small() -> None:
    """A child's peak memory begins with that of the process it was forked from."""
    loaded = "import sys, benchmarks.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not {"dagster", "duckdb", "pandas", "requests"} & set(modules.stdout.split())


def test_pages_hold_what_their_index_says(folder: Path) -> None:
    index = json.loads((folder / pages.INDEX).read_text())
    rows = [row for name in index["pages"] for row in json.loads((folder / name).read_text())["data"]]
    assert len(rows) == index["rows"]
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(index["total_cents"])
    assert len({row["starting_at"] for row in rows}) == index["days"] == 2


@pytest.mark.parametrize("name", ["read_json", "onelens", "pandas", "official"])
def test_every_contender_stores_every_row_and_cent(
    name: str, folder: Path, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELENS_NOW", pages.NOW)
    monkeypatch.setenv("ONELENS_BENCH_KEY", contenders.KEY)
    index = json.loads((folder / pages.INDEX).read_text())
    work = tmp_path / "work"
    work.mkdir()
    figures = contenders.CONTENDERS[name](contenders.Job(folder, base_url, work))
    assert figures["rows"] == index["rows"]
    assert Decimal(figures["total_cents"]) == Decimal(index["total_cents"])


def test_a_contender_that_loses_a_row_fails_the_run(folder: Path) -> None:
    index = json.loads((folder / pages.INDEX).read_text())
    with pytest.raises(measuring.FailedError, match="stored"):
        ingest._check("pandas", {"rows": index["rows"] - 1, "total_cents": index["total_cents"]}, index)


def test_verbatim_pages_have_a_size_in_the_file(
    folder: Path, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONELENS_NOW", pages.NOW)
    monkeypatch.setenv("ONELENS_BENCH_KEY", contenders.KEY)
    monkeypatch.setattr(stages, "_STAGES", ())  # nothing stays wrapped for other tests
    assert stages.by_stage(contenders.Job(folder, base_url, tmp_path))["all"] > 0
    assert storage.page_bytes(tmp_path / "data" / "onelens.duckdb") > 0


def test_a_measured_process_counts_what_it_started(tmp_path: Path) -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}], check=True)"
    # From a small process: before a child runs its own program, the kernel counts its parent's memory.
    measure = (
        "import sys; from benchmarks import measuring; "
        f"one = measuring.run([sys.executable, '-c', {program!r}]); print(one.cpu_seconds, one.peak_mb)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", measure],
        cwd=measuring.PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    cpu_seconds, peak_mb = map(float, answer.stdout.split())
    assert cpu_seconds >= 0.3
    assert 5 < peak_mb < 500


def test_a_failed_process_says_why() -> None:
    with pytest.raises(measuring.FailedError, match="no such thing"):
        measuring.run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_the_history_is_shaped_like_a_real_one(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb", tmp_path / "s.duckdb")
    history.write_history(warehouse, users=200, days=3)
    history.revise_day(warehouse, users=200)
    with warehouse.writer() as connection:
        rows, days = connection.execute(
            "select count(*), count(distinct activity_date) from claude_raw.user_cost_report_rows where pull_id like '%1'"
        ).fetchone()
        groups = connection.execute(
            "select max(n) from (select count(*) n from claude_raw.cost_report_rows where query = 'detail' "
            "group by pull_id, activity_date)"
        ).fetchone()[0]
        unequal = connection.execute(
            "select count(*) from (select pull_id, activity_date, sum(case query when 'total' then amount::decimal(38, 12) "
            "else -amount::decimal(38, 12) end) as rest from claude_raw.cost_report_rows group by all) where rest <> 0"
        ).fetchone()[0]
        pulls, pull_rows = connection.execute("select count(*), sum(row_count) from claude_raw.pulls").fetchone()
        active = connection.execute("select count(*) from claude_raw.users_rows where pull_id like '%5'").fetchone()[0]
    # of the reports one pull for the three days, of `users` one a day; then one of each for the revised day
    assert (days, pulls, unequal, active) == (3, 4 + 3 + 4 + 1, 0, 200)
    assert pull_rows > 4 * 200 * 6
    assert 6 < rows / 200 / days < 7.5
    assert groups < 100


def test_the_page_tells_a_met_goal_from_a_missed_one() -> None:
    def measured(cpu_seconds: float, peak_mb: float = 100.0) -> measuring.Measurement:
        return measuring.Measurement(cpu_seconds, cpu_seconds, peak_mb, {"file_bytes": 2_000_000})

    found = ingest.Ingested(ingest.Scenario(10_000, 1, rounds=1), json_bytes=30_000_000, rows=60_000)
    found.page_bytes = 2_000_000
    found.contenders = {"download": measured(1), "read_json": measured(1), "onelens": measured(2, 300.0)}
    found.contenders |= {"pandas": measured(3), "official": measured(30), "dlt": measured(20)}
    page = report.markdown(report.Results(quick=False, ingested=[found], day_by_day=[1.0, 1.0, 1.1]))
    assert "| ingest, CPU against the floor: 10,000 users x 1 day | <= 1.5x | 1x | met |" in page
    assert "| less CPU than requests + pandas: 10,000 users x 1 day | >= 2x | 1.5x | **missed 1.33 times** |" in page
    assert "- **memory**: " in page
