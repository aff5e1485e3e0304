"""The first set-up of DAGSTER_HOME, and one that an earlier version left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from onelens_claude.errors import SettingsError
from onelens_claude.orchestration.event_log import BATCH_SIZE, BATCH_VARIABLE, BatchedEventLogStorage
from onelens_claude.orchestration.instance import prepare_home
from onelens_claude.paths import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

OURS = (PROJECT_ROOT / "dagster.yaml").read_text(encoding="utf-8")
MODULE = "onelens_claude.orchestration.event_log"
EARLIER = OURS.replace(MODULE, "onelens_claude.event_log")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(BATCH_VARIABLE, BATCH_SIZE)  # what prepare_home sets is undone with the test
    return tmp_path


@pytest.mark.parametrize("left", [None, EARLIER], ids=["none", "of an earlier version"])
def test_a_home_gets_our_instance_file_also_in_place_of_an_earlier_one(home: Path, left: str | None) -> None:
    assert EARLIER != OURS
    if left:
        (home / "dagster.yaml").write_text(left)
    prepare_home()
    assert (home / "dagster.yaml").read_text() == OURS
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, BatchedEventLogStorage)


def test_a_users_own_instance_file_is_left_alone(home: Path) -> None:
    own = "# ours\ntelemetry:\n  enabled: false\n"
    (home / "dagster.yaml").write_text(own)
    prepare_home()
    assert (home / "dagster.yaml").read_text() == own


def test_a_damaged_log_is_one_sentence_with_the_way_out(home: Path) -> None:
    prepare_home()
    (home / "history" / "runs.db").write_bytes(b"no database at all " * 1_000)
    with pytest.raises(SettingsError, match=r"DAGSTER_HOME .*: Dagster's log cannot be opened there: .*moved away"):
        prepare_home()
