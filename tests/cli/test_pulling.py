"""What `backfill` remembers between two runs, with real pulls and jobs that end as they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelens_claude.cli import pulling
from onelens_claude.cli.runs import JobResult
from onelens_claude.ledger.backfills import unfinished

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.worlds import World

FIRST, LAST = "2026-11-17", "2026-11-19"


def test_a_backfill_whose_build_was_killed_goes_on_with_the_build_alone(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = make_world()
    for name, value in here.variables().items():
        monkeypatch.setenv(name, value)
    build_ends_well = False

    def run(name: str, *_: Any, planned: dict[str, int] | None = None, **__: Any) -> JobResult:
        if name == "ingest_job":
            for endpoint, requests in (planned or {}).items():
                if requests:
                    here.land(endpoint, FIRST, LAST)
            return JobResult("run", success=True, failures=(), checks={})
        return JobResult(
            "run", success=build_ends_well, failures=() if build_ends_well else ("dbt: killed",), checks={}
        )

    monkeypatch.setattr(pulling, "run_job", run)
    folder = here.settings.warehouse_path.parent
    assert not pulling.run_backfill(here.settings, FIRST, LAST, None)["ok"]
    asked = len(here.requests())
    assert asked > 9
    assert [one.command for one in unfinished(folder)] == [f"onelens-claude backfill --from {FIRST} --to {LAST}"]

    build_ends_well = True
    assert pulling.run_backfill(here.settings, FIRST, LAST, None)["ok"]
    assert len(here.requests()) == asked
    assert "everything is pulled already" in capsys.readouterr().err
    assert unfinished(folder) == []
