"""The command line whose jobs build, check and publish the two facts alone: `python -m tests.facts_only backfill ...`.

For what happens around a build (kills, refusals, two at once), where the other marts would only cost time. What belongs
here: which assets those are. What does not: anything that a test of the marts reads; `end_to_end` builds everything.
"""

from __future__ import annotations

import dagster as dg
import pytest

from onelens_claude.orchestration import jobs
from onelens_claude.orchestration.assets.raw import SETTINGS_KEYS

_FACTS = dg.AssetSelection.assets(
    *(["marts", name] for name in ("fct_claude_costs", "fct_claude_usage", "cost_reconciliation")),
    ["marts", "dim_claude_users"],
    ["marts", "dim_claude_organizations"],
    ["staging", "stg_current_pulls"],
)
"""The facts, and what their tests and checks compare them with."""


def build_only(patch: pytest.MonkeyPatch, models: dg.AssetSelection) -> None:
    """Let the jobs of this process build these models alone, with what they are made of."""
    wanted = dg.AssetSelection.assets(*SETTINGS_KEYS) | models.upstream() | dg.AssetSelection.groups("serving")
    patch.setattr(jobs, "_AFTER_RAW", jobs._AFTER_RAW & wanted)
    patch.setenv("DBT_INDIRECT_SELECTION", "cautious")  # no test that needs another table


def build_facts_only(patch: pytest.MonkeyPatch) -> None:
    """Let the jobs of this process build the two facts alone."""
    build_only(patch, _FACTS)


if __name__ == "__main__":
    from onelens_claude.cli import main

    build_facts_only(pytest.MonkeyPatch())
    main()
