"""One pull becomes files: all of them or none, split where an answer is capped; live spools are never swept."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onelens_claude import errors
from onelens_claude.api.endpoints import ENDPOINTS, Endpoint
from onelens_claude.api.windows import Window
from onelens_claude.fake_api import Fault
from onelens_claude.landing import fetching
from onelens_claude.landing.fetching import FetchedPull, PullRequest, fetch, spool_session
from tests.organizations import organization
from tests.worlds import small_pages

if TYPE_CHECKING:
    from tests.worlds import World

WINDOW = Window(dt.date(2026, 11, 1), dt.date(2026, 11, 8))
CAPPED_DAY = dt.date(2026, 11, 10)
ONE_DAY = Window(CAPPED_DAY, CAPPED_DAY + dt.timedelta(days=1))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


def pull(here: World, endpoint: Endpoint, spool: Path, window: Window = WINDOW) -> FetchedPull:
    return fetch(here.client(), PullRequest("acme", endpoint, window), spool)


def bodies(pulled: FetchedPull) -> list[bytes]:
    return [page.body() for page in pulled.pages]


def test_a_pull_is_its_pages_as_files_in_order(make_world, spool):
    here = make_world()
    pulled = pull(here, small_pages("user_cost_report"), spool)
    assert len(pulled.pages) > 3
    assert [page.path.name for page in pulled.pages] == [f"{n:06d}.json" for n in range(1, len(pulled.pages) + 1)]
    assert pulled.byte_count == sum(map(len, bodies(pulled)))
    assert pulled.sha256 == hashlib.sha256(hashlib.sha256(b"".join(bodies(pulled))).digest()).hexdigest()
    assert pulled.data_refreshed_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    assert pulled.api_organization_ids == {here.server.api.tenants[0].organization.organization_id}


def test_a_bucket_report_asks_total_and_detail_in_one_pull(make_world, spool):
    pulled = pull(make_world(), ENDPOINTS["cost_report"], spool)
    assert [page.query.name for page in pulled.pages] == ["total", "detail"]


@pytest.mark.parametrize(
    "kind",
    ["error_500", "html_200", "truncated_json", "connection_reset", "cursor_refused", "cursor_loop", "forbidden"],
)
def test_a_pull_that_fails_half_way_leaves_no_file(make_world, spool, kind):
    here = make_world(faults=[Fault(kind, page=3, times=None)], polling={"attempts": 1})
    with pytest.raises(errors.ApiError):
        pull(here, small_pages("user_cost_report"), spool)
    assert list(spool.iterdir()) == []


def test_after_a_refused_cursor_only_the_second_walk_counts(make_world, spool):
    here = make_world()
    undisturbed = pull(here, small_pages("user_cost_report"), spool)
    here.server.api.log.clear()
    here.server.api.faults.add(Fault("cursor_refused", page=3))
    earlier, later = dt.datetime(2026, 11, 20, 11, tzinfo=dt.UTC), dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    here.server.api.clock = lambda: earlier if len(here.server.api.log) < 3 else later
    again = pull(here, small_pages("user_cost_report"), spool)
    assert bodies(again)[0] == bodies(undisturbed)[0]
    assert [json.loads(body)["data"] for body in bodies(again)] == [
        json.loads(body)["data"] for body in bodies(undisturbed)
    ]
    assert again.data_refreshed_at == later - dt.timedelta(hours=4)


def test_the_oldest_stamp_of_the_pages_counts(make_world, spool):
    here = make_world()
    pulled = pull(here, small_pages("user_cost_report"), spool)
    pulled.pages[1] = replace(pulled.pages[1], data_refreshed_at=dt.datetime(2026, 11, 19, tzinfo=dt.UTC))
    assert pulled.data_refreshed_at == dt.datetime(2026, 11, 19, tzinfo=dt.UTC)


def test_without_any_stamp_there_is_none(make_world, spool):
    here = make_world(faults=[Fault("missing_fields", times=None)])
    assert pull(here, small_pages("user_cost_report"), spool).data_refreshed_at is None


def test_a_capped_answer_is_asked_again_in_pieces_until_each_is_whole(make_world, spool):
    here = make_world({"acme": organization(users=300, first_day=CAPPED_DAY)})
    pulled = pull(here, ENDPOINTS["cost_report"], spool, ONE_DAY)
    asked = amounts(pulled)
    assert list(asked)[:3] == ["total", "detail", "by_product_model"]
    pieces = {name: amount for name, amount in asked.items() if name.startswith("detail:")}
    assert set(list(asked)[3:]) == set(pieces), "the answer by product and model says all values to split by"
    split_further = {name.rsplit(",", 1)[0] for name in pieces if "," in name}
    whole = [amount for name, amount in pieces.items() if name not in split_further]
    assert asked["detail"] < asked["total"] == asked["by_product_model"]
    assert asked["detail"] < sum(whole) <= asked["total"]


def test_where_products_and_models_are_capped_themselves_products_are_asked_for_alone(make_world, spool):
    here = make_world({"acme": organization(users=300, wide=True, first_day=CAPPED_DAY)})
    pulled = pull(here, ENDPOINTS["cost_report"], spool, ONE_DAY)
    asked = amounts(pulled)
    assert list(asked)[:4] == ["total", "detail", "by_product_model", "by_product"]
    assert asked["by_product_model"] < asked["total"] == asked["by_product"]
    models = [name.split(":")[1] for name in asked if name.startswith("by_product_model:")]
    assert models
    assert set(models) < {name.split(":")[1] for name in asked if name.startswith("detail:")}
    assert set(models) == {name.split(":")[1].split(",")[0] for name in asked if "models[]" in name}


@pytest.mark.parametrize("most", [3, 12])
def test_a_capped_answer_is_split_into_so_many_pieces_at_most(make_world, spool, monkeypatch, most):
    monkeypatch.setattr(fetching, "_MOST_PIECES", most)
    here = make_world({"acme": organization(users=300, wide=True, first_day=CAPPED_DAY)})
    asked = amounts(pull(here, ENDPOINTS["cost_report"], spool, ONE_DAY))
    assert sum(name.startswith("detail:") for name in asked) == most
    assert asked["total"] == asked["by_product"]  # what is left out is known by product


def amounts(pulled: FetchedPull) -> dict[str, Decimal]:
    """Return query to the sum of its amounts, in the order asked."""
    asked: dict[str, Decimal] = {}
    for page, body in zip(pulled.pages, bodies(pulled), strict=True):
        rows = [row for bucket in json.loads(body)["data"] for row in bucket["results"]]
        asked[page.query.name] = sum((Decimal(row["amount"]) for row in rows), asked.get(page.query.name, Decimal(0)))
    return asked


def test_a_product_the_filter_does_not_know_stays_as_far_as_it_is_listed(make_world, spool):
    here = make_world(
        {"acme": organization(users=60, wide=True, first_day=CAPPED_DAY)},
        faults=[Fault("unknown_product", endpoint="cost_report", times=None)],
    )
    pulled = pull(here, ENDPOINTS["cost_report"], spool, ONE_DAY)
    assert any(b"claude_of_tomorrow" in body for body in bodies(pulled))
    assert not any("claude_of_tomorrow" in page.query.name for page in pulled.pages)


def test_buckets_of_another_form_are_refused_and_kept(make_world, spool, monkeypatch):
    here = make_world()
    real = type(here.client())._get

    def change(*arguments, **options):
        answer = real(*arguments, **options)
        return replace(answer, content=answer.content.replace(b'"results":[', b'"results":7,"rest":['))

    monkeypatch.setattr(type(here.client()), "_get", change)
    with pytest.raises(
        errors.InvalidPullError,
        match=r"acme: cost_report 2026-11-01\.\.2026-11-07: the buckets are not of the expected form.*\(request req_",
    ) as raised:
        pull(here, ENDPOINTS["cost_report"], spool)
    assert b'"results":7' in raised.value.body
    assert list(spool.iterdir()) == []


# the spool


def test_a_spool_that_cannot_be_written_is_one_clear_error(make_world, tmp_path):
    (tmp_path / "spool").write_text("a file in the folder's place")
    with pytest.raises(errors.WarehouseError, match=r"spool.*pages cannot be kept there until they are loaded: "):
        pull(make_world(), ENDPOINTS["users"], tmp_path / "spool", Window(dt.date(2026, 11, 17), dt.date(2026, 11, 18)))
    with (
        pytest.raises(errors.WarehouseError, match=r"spool.*pages cannot be kept there until they are loaded: "),
        spool_session(tmp_path / "spool"),
    ):
        pass


def test_a_session_leaves_nothing_behind(tmp_path):
    with spool_session(tmp_path / "spool") as session:
        (session / "page").write_text("x")
    assert list((tmp_path / "spool").iterdir()) == []
    with pytest.raises(KeyError), spool_session(tmp_path / "spool"):
        raise KeyError
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_live_session_of_another_thread_is_not_swept(tmp_path):
    is_open, may_end = threading.Event(), threading.Event()
    survived = []

    def live() -> None:
        with spool_session(tmp_path / "spool") as session:
            (session / "page").write_text("x")
            is_open.set()
            may_end.wait(10)
            survived.append((session / "page").exists())

    thread = threading.Thread(target=live)
    thread.start()
    is_open.wait(10)
    for _ in range(3):
        with spool_session(tmp_path / "spool"), spool_session(tmp_path / "spool"):
            pass
    may_end.set()
    thread.join()
    assert survived == [True]


SESSION = """
import sys, time
from pathlib import Path
from onelens_claude.landing.fetching import spool_session
with spool_session(Path(sys.argv[1])) as session:
    (session / "page").write_text("x")
    print(session, flush=True)
    time.sleep(60)
"""


def test_a_live_session_of_another_process_is_not_swept_and_a_killed_one_is(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SESSION, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        other = Path(process.stdout.readline().strip())
        with spool_session(tmp_path):
            assert (other / "page").exists()
        assert (other / "page").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert other.exists()
        with spool_session(tmp_path):
            assert not other.exists()
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()
