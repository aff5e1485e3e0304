"""The asset `serving/report`: the page after each publication, and what happens when it cannot be made."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg

from onelens_claude.orchestration.assets.report import REPORT_PATH, report
from onelens_claude.orchestration.resources import Onelens
from onelens_claude.report.page import default_path, unpacked
from tests.report.made_up import settings_for, write_marts

if TYPE_CHECKING:
    from pathlib import Path

    from onelens_claude.settings import Settings

DAY = dt.date(2026, 11, 18)


def made(settings: Settings) -> tuple[bool, dg.AssetMaterialization]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([report], resources={"onelens": Onelens(settings)}, instance=instance)
        (event,) = result.get_asset_materialization_events()
    return result.success, event.materialization


def test_the_page_is_made_and_linked_where_a_browser_can_follow(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, dagster_url="https://dagster.example.com/")
    write_marts(settings.serving_path, {"dim_claude_organizations": [("acme", "Acme", "usage", DAY, DAY, None)]})
    success, materialization = made(settings)
    assert success
    page = default_path(settings)
    assert materialization.metadata["path"].value == str(page)
    assert materialization.metadata["page"].value == f"https://dagster.example.com{REPORT_PATH}"
    assert unpacked(page.read_text(encoding="utf-8"))["about"]["title"] == "Acme"


def test_a_page_that_cannot_be_made_fails_no_run_and_says_why(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, report={"logo": "gone.png"})
    write_marts(settings.serving_path, {})
    success, materialization = made(settings)
    assert success
    assert "report.logo" in str(materialization.metadata["problem"].value)
    assert not default_path(settings).exists()
