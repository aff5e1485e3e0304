"""The command over files: what is raised on a day knows nothing of later days, and what it prints.

What belongs here: what only the whole command shows. What does not: the form of the files (`test_files.py`), the
measures (`test_scoring.py`), the rules of detection (`tests/dbt_project/test_anomalies.py`).
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import json
import os
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from onelens_claude.backtest.labels import Label
from onelens_claude.backtest.organizations import FIRST_DAY, make_organization
from tests.worlds import COMMAND, run_main

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

CUTS = {f"cut-{days}": (FIRST_DAY + dt.timedelta(days=days)).isoformat() for days in (130, 165, 178)}
"""Organisations that are `whole` up to a day."""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command where there are no settings; its temporary files are in `folder`/tmp."""
    (folder / "tmp").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONELENS_", "DAGSTER_"))}
    return subprocess.Popen(
        [str(COMMAND), "backtest", *arguments],
        cwd=folder,
        env={**kept, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def busiest(spend: pd.DataFrame, day: str) -> list[str]:
    """Return the people of a day, who spent most first."""
    totals = spend[spend["activity_date"] == day].groupby("user_id")["amount_cents"].sum()
    return [str(user) for user in totals.sort_values(ascending=False).index]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Write an organisation and the same one cut off on some days, and let the command measure all of them."""
    folder = tmp_path_factory.mktemp("backtest")
    made = make_organization(7, users=40, days=210)
    spend = made.spend
    for number, last in enumerate(CUTS.values()):  # what one more day would tell about must be raised on the last one
        user, day = busiest(spend, last)[number], dt.date.fromisoformat(last)
        spend.loc[(spend["activity_date"] == last) & (spend["user_id"] == user), "amount_cents"] *= 25
        made.labels.append(Label(made.organization_id, "user", user, "runaway", day, day, None))
    rows = [
        ("whole", f"{row.activity_date:%Y-%m-%d}", row.user_id, row.product, row.model, f"{row.amount_cents / 100:.2f}")
        for row in spend.itertuples()
    ]
    with (folder / "spend.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["organization_id", "activity_date", "user_id", "product", "model", "amount_usd"])
        writer.writerows(rows)
        writer.writerows((name, *row[1:]) for name, last in CUTS.items() for row in rows if row[1] <= last)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["organization_id", "scope", "scope_value", "kind", "start", "end", "impact_usd"])
        for name, last in {"whole": "9999", **CUTS}.items():
            for one in made.labels:
                if one.start.isoformat() <= last:
                    value = name if one.scope == "organization" else one.scope_value
                    writer.writerow([name, one.scope, value, one.kind, one.start, one.end, one.impact_usd])
    (folder / "tmp").mkdir()
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        exit_code = run_main(["backtest", "--data", ".", "--json"])
    assert exit_code == 0, err.getvalue()
    assert [one.name for one in (folder / "tmp").iterdir() if one.name.startswith("onelens-backtest")] == []
    assert {one.name for one in folder.iterdir()} == {"tmp", "spend.csv", "labels.csv"}
    return json.loads(out.getvalue())


@pytest.mark.parametrize(("organization", "last"), CUTS.items())
def test_what_is_raised_on_a_day_is_the_same_whatever_comes_later(measured, organization, last):
    def up_to_the_cut(of: str) -> list[dict[str, Any]]:
        return [
            {
                **alert,
                "organization_id": "",
                "scope_value": alert["scope_value"].replace(of, "it"),
                "score": round(alert["score"], 9),  # sums of floats, in another order
            }
            for alert in measured["alerts"]
            if alert["organization_id"] == of and alert["date"] <= last
        ]

    raised = up_to_the_cut(organization)
    assert raised == up_to_the_cut("whole")
    assert {alert["scope"] for alert in raised} >= {"user", "user_product", "model"}
    assert {alert["kind"] for alert in raised} == {"spike", "sustained", "chronic"}
    assert ("user", last, "spike") in {(alert["scope"], alert["date"], alert["kind"]) for alert in raised}
    assert any(alert["date"] > last for alert in measured["alerts"] if alert["organization_id"] == "whole")


def test_a_month_is_forecast_on_each_day_and_none_knows_of_later_days(measured):
    by_organization: dict[str, list[dict[str, Any]]] = {}
    for one in measured["forecasts"]:
        value = one["scope_value"].replace(one["organization_id"], "it")
        by_organization.setdefault(one["organization_id"], []).append(
            {**one, "organization_id": "", "scope_value": value}
        )
    for name, last in CUTS.items():
        before = [one for one in by_organization["whole"] if one["as_of"] <= last]
        for one, other in zip(by_organization[name], before, strict=True):
            for amount in ("forecast_usd", "low_usd", "high_usd"):
                # sums of floats in another order may end on the other side of half a cent
                assert float(one.pop(amount) or -1) == pytest.approx(float(other[amount] or -1), abs=0.0101), one
            assert one.items() <= other.items()
    ada = [one["as_of"] for one in by_organization["whole"] if one["scope_value"] == "it" and one["month"] == "2025-05"]
    assert ada == [f"2025-05-{day:02}" for day in range(1, 32)]
    assert {one["scope"] for one in by_organization["whole"]} == {"organization", "product", "model", "user"}


def test_the_json_has_the_promised_keys_and_one_alert_per_series_and_day(measured):
    assert measured.keys() == {"alerts", "forecasts", "scores"}
    alerts = measured["alerts"]
    for alert in alerts:
        assert list(alert) == ["organization_id", "scope", "scope_value", "date", "score", "kind"]
    keys = [tuple(alert.values())[:4] for alert in alerts]
    assert len(set(keys)) == len(keys)
    amounts = ["forecast_usd", "low_usd", "high_usd"]
    for forecast in measured["forecasts"]:
        assert list(forecast) == ["organization_id", "scope", "scope_value", "month", "as_of", *amounts]
        assert {type(forecast[name]) for name in amounts} <= {str, type(None)}
    assert any(forecast["low_usd"] for forecast in measured["forecasts"])


def test_each_method_is_scored_for_people_and_segments_and_the_models_are_most_often_right(measured):
    by_method = measured["scores"]["anomalies"]
    assert len(by_method) == 4
    ours, *others = by_method.values()
    assert ours.keys() == {"organization", "product", "model", "user", "user_product", "segments"}
    assert ours["user"]["events"] == sum(kind["events"] for kind in ours["user"]["by_kind"].values()) > 0
    assert ours["user"]["by_kind"]["runaway"]["recall"] == 1
    for other in others:
        assert other["user"]["events"] == ours["user"]["events"]
        assert other["user"]["precision"] < ours["user"]["precision"]
        assert other["user"]["false_per_1000_series_days"] > 3 * ours["user"]["false_per_1000_series_days"]
    forecasts = measured["scores"]["forecasts"]
    assert {(one["scope"], one["day_of_month"]) for one in forecasts} >= {("organization", 5), ("user", 20)}
    speed = measured["scores"]["speed"]
    assert speed["series_days_per_second"] == pytest.approx(speed["series_days"] / speed["seconds"])


def test_ctrl_c_ends_it_with_130_and_leaves_nothing_behind(tmp_path):
    process = start(tmp_path, "--users", "40", "--days", "160", "--seed", "7")
    try:
        assert process.stderr
        while not (line := process.stderr.readline()).startswith("Scoring "):
            assert line, process.wait()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert [one.name for one in (tmp_path / "tmp").iterdir() if one.name.startswith("onelens-backtest")] == []
