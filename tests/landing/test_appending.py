"""All of a batch or none of it, what is new or old in an answer, and each key once."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from onelens_claude.api import row_types
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.windows import Window
from onelens_claude.clock import naive_utc
from onelens_claude.errors import NotYetAvailableError
from onelens_claude.landing import appending
from onelens_claude.landing.appending import record_failure
from tests.landing.appended import FETCHED_AT, WINDOW, append, cost, costs, counts, page, refusal, usage

# what is kept


def test_pages_are_kept_byte_for_byte(connection, spool):
    first = '{ "data" : [\n ],\t"next_page":null, "é": "\\u00e9 😀", "extra": 1.50e3 }\n\n'.encode()
    second = json.dumps(page(cost())).encode()
    (done,) = append(connection, spool("user_cost_report", first, second))
    stored = connection.execute(
        "select encode(payload), page_number, query, request_path, request_id, fetched_at, organization_id, pull_id "
        "from claude_raw.user_cost_report order by page_number"
    ).fetchall()
    assert [row[0] for row in stored] == [first, second]
    at = naive_utc(FETCHED_AT)
    assert stored[1][1:] == (2, "detail", "/v1/user_cost_report?page=2", "req_2", at, "acme", done.pull.pull_id)


def test_the_ledger_says_what_a_pull_was(connection, spool):
    refreshed_at = dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    pull = spool(
        "user_cost_report",
        page(*costs(0, 2)),
        page(cost(day="2026-11-03")),
        api_id="org_1",
        refreshed_at=refreshed_at,
    )
    append(connection, pull)
    assert connection.execute("select * from claude_raw.pulls").fetchall() == [
        (
            1, pull.pull_id, "acme", "user_cost_report", WINDOW.start, WINDOW.end, "complete", naive_utc(FETCHED_AT),
            naive_utc(refreshed_at), "org_1", 2, 3, pull.byte_count, "sha", None, None, "req_1", "run", None,
        )
    ]  # fmt: skip


def test_figures_are_per_day_and_only_of_the_endpoints_first_query(connection, spool):
    def bucket(*results: dict[str, Any]) -> dict[str, Any]:
        return page(
            {"starting_at": "2026-11-02T00:00:00Z", "ending_at": "2026-11-03T00:00:00Z", "results": list(results)}
        )

    pull = spool("cost_report", bucket(cost("10")), query="total")
    detail = spool("cost_report", bucket(cost("4"), cost("5", model="another")))
    pull.pages += detail.pages
    (done,) = append(connection, pull)
    assert done.days == (appending.DayFigures(dt.date(2026, 11, 2), 1, Decimal(10)),)
    assert connection.execute("select row_count from claude_raw.pulls").fetchone() == (1,)


def test_an_empty_answer_is_a_complete_pull(connection, spool):
    (done,) = append(connection, spool("user_cost_report", page()))
    assert done.days == ()
    assert connection.execute("select status, page_count, row_count from claude_raw.pulls").fetchall() == [
        ("complete", 1, 0)
    ]


@pytest.mark.parametrize(
    "body", [page({"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": []}), page()]
)
def test_a_day_without_results_is_a_complete_pull(connection, spool, body):
    append(connection, spool("cost_report", body))
    assert connection.execute("select status, row_count from claude_raw.pulls").fetchall() == [("complete", 0)]


def test_sequences_go_on_over_endpoints_and_failures(connection, spool):
    append(
        connection,
        spool("user_cost_report", page()),
        spool("users", page(), window=Window(WINDOW.start, WINDOW.start + dt.timedelta(1))),
    )
    error = NotYetAvailableError("not there", where="acme: users", status=400, request_id="req_9")
    record_failure(connection, spool("users").request, error, pull_id="failed", run_id=None)
    append(connection, spool("user_cost_report", page()))
    assert connection.execute("select pull_sequence, status from claude_raw.pulls order by 1").fetchall() == [
        (1, "complete"), (2, "complete"), (3, "failed"), (4, "complete"),
    ]  # fmt: skip
    assert connection.execute("select error_type, error_message, request_id, page_count from claude_raw.pulls where status = 'failed'").fetchall() == [
        ("not_yet_available", str(error), "req_9", 0)
    ]  # fmt: skip


# whole answers


@pytest.mark.parametrize(
    "body",
    [
        b'[{"amount":"1"',
        b"<html></html>",
        b"7",
        b'["text"]',
        b"[\xff]",
        b'[{"product":"\xff"}]',
    ],
)
def test_a_body_that_does_not_parse_is_refused_with_its_pull(connection, spool, body):
    pull = spool("user_cost_report", page(cost()), page(cost()))
    pull.pages[1].path.write_bytes(body)
    message = refusal(connection, pull)
    assert message.startswith("acme: user_cost_report 2026-11-01..2026-11-03: ")
    assert "(request req_" in message


def test_a_row_without_a_user_is_refused(connection, spool):
    assert "a row has no actor.user_id" in refusal(connection, spool("user_cost_report", page(cost(actor=None))))


def test_one_bad_pull_keeps_back_its_whole_batch(connection, spool):
    good, bad = (
        spool("user_cost_report", page(cost())),
        spool("user_cost_report", page(cost("12,5")), organization="globex"),
    )
    assert refusal(connection, good, bad).startswith("globex: user_cost_report")
    append(connection, good)
    assert counts(connection) == (1, 1, 1)


def test_a_batch_of_two_endpoints_is_all_or_nothing_too(connection, spool):
    append(connection, spool("user_cost_report", page(cost()), api_id="org_1"))
    good, bad = spool("cost_report", page()), spool("user_cost_report", page(cost()), api_id="org_2")
    refusal(connection, good, bad)
    assert connection.execute("select count(*) from claude_raw.cost_report").fetchone() == (0,)


def test_a_fault_of_the_machine_is_not_blamed_on_the_pages(connection, spool):
    pull = spool("user_cost_report", page(cost()))
    pull.pages[0].path.unlink()
    with pytest.raises(duckdb.IOException):
        append(connection, pull)
    assert counts(connection) == (0, 0, 0)


def test_another_organisation_behind_the_same_id_is_refused(connection, spool):
    append(connection, spool("user_cost_report", page(cost()), api_id="org_1"))
    message = refusal(connection, spool("user_cost_report", page(cost()), api_id="org_2"))
    assert "the key answers for organisation org_2, but earlier data came from org_1" in message
    append(connection, spool("user_cost_report", page(cost()), api_id=None))
    append(connection, spool("user_cost_report", page(cost()), api_id="org_2", organization="globex"))


def test_one_organisation_under_two_ids_is_refused_with_both_names(connection, spool):
    append(connection, spool("user_cost_report", page(cost()), api_id="org_1"))
    message = refusal(connection, spool("cost_report", page(), api_id="org_1", organization="twin"))
    assert message.startswith("twin: cost_report ")
    assert "the key answers for organisation org_1, which is held as acme already" in message
    both = [spool("users", page(), api_id="org_9", organization=name) for name in ("one", "other")]
    append(connection, both[0])
    assert "held as one already" in refusal(connection, both[1])


def test_pages_of_two_organisations_in_one_pull_are_refused(connection, spool):
    pull = spool("user_cost_report", page(cost()), api_id="org_1")
    pull.pages += spool("user_cost_report", page(cost()), api_id="org_2").pages
    assert "the key answers for organisation org_1, org_2" in refusal(connection, pull)


# what is new or old


def test_new_values_and_fields_flow_through_and_each_field_is_reported_once(connection, spool):
    row = cost(
        product="claude_of_tomorrow", model="claude-tomorrow-9", colour="red", actor={"user_id": "u", "team": {"id": 1}}
    )
    for _ in range(2):
        append(connection, spool("user_cost_report", page(cost()), page(row, mood="good")))
    append(connection, spool("user_cost_report", page(row), organization="globex"))
    assert connection.execute("select distinct product, model from claude_raw.user_cost_report_rows order by 1").fetchall() == [
        ("chat", "claude-opus-4-6"), ("claude_of_tomorrow", "claude-tomorrow-9"),
    ]  # fmt: skip
    assert connection.execute("select organization_id, endpoint, field from claude_raw.schema_drift order by all").fetchall() == [
        ("acme", "user_cost_report", "colour"), ("acme", "user_cost_report", "id"), ("acme", "user_cost_report", "mood"),
        ("acme", "user_cost_report", "team"), ("globex", "user_cost_report", "colour"), ("globex", "user_cost_report", "id"),
        ("globex", "user_cost_report", "team"),
    ]  # fmt: skip
    assert (
        "colour"
        in connection.execute("select payload from claude_raw.user_cost_report where page_number = 2").fetchone()[0]
    )


def test_text_that_looks_like_a_field_is_none(connection, spool):
    append(
        connection,
        spool(
            "user_cost_report", page(cost(actor={"user_id": "u", "name": 'Bobby "drop": tables', "email": '{"x": 1}'}))
        ),
    )
    assert connection.execute("select field from claude_raw.schema_drift").fetchall() == []


def test_a_new_field_in_the_middle_of_a_long_page_is_found(connection, spool):
    rows = [cost(actor={"user_id": f"user_{n}"}) for n in range(2000)]
    rows[1000]["colour"] = "red"
    append(connection, spool("user_cost_report", page(*rows)))
    assert connection.execute("select field from claude_raw.schema_drift").fetchall() == [("colour",)]


def test_older_forms_are_read_beside_newer_ones(connection, spool):
    old = cost(product="claude_tag", model="claude_opus_4_6", actor={"user_id": "user_2", "email": "b@example.com"})
    append(connection, spool("user_cost_report", page(cost(), old)))
    assert connection.execute(
        "select actor_email_address, actor_email, actor_deleted, product, model from claude_raw.user_cost_report_rows order by actor_user_id"
    ).fetchall() == [
        ("a@example.com", None, False, "chat", "claude-opus-4-6"),
        (None, "b@example.com", None, "claude_tag", "claude_opus_4_6"),
    ]
    day = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "assigned_seat_count": 5}
    append(connection, spool("summaries", {"summaries": [day]}))
    assert connection.execute(
        "select activity_date, assigned_seat_count from claude_raw.summaries_rows"
    ).fetchall() == [(WINDOW.start, 5)]


def test_absent_and_null_blocks_are_null_not_zero(connection, spool):
    day = Window(WINDOW.start, WINDOW.start + dt.timedelta(1))
    rows = [
        {"user": {"id": "a"}},
        {"user": {"id": "b"}, "chat_metrics": None},
        {"user": {"id": "c"}, "chat_metrics": {"message_count": 0}},
    ]
    append(connection, spool("users", page(*rows), window=day))
    found = connection.execute(
        'select "user".id, chat_metrics.message_count from claude_raw.users_rows order by 1'
    ).fetchall()
    assert found == [("a", None), ("b", None), ("c", 0)]


def test_a_folder_with_odd_characters_is_no_obstacle(connection, spool, tmp_path):
    pull = spool("user_cost_report", page(cost()))
    odd = tmp_path / "it's [1] {a,b} *? é"
    odd.mkdir()
    target = odd / "000001.json"
    pull.pages[0].path.rename(target)
    pull.pages[0] = replace(pull.pages[0], path=target, rows_path=target)
    append(connection, pull)
    assert counts(connection) == (1, 1, 1)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda one: one.name)
def test_every_counter_inside_a_block_is_guarded(endpoint):
    """The guard is built from the row types; here they are walked by DuckDB itself."""

    def walk(name: str, kind: Any) -> set[str]:
        if kind.id == "struct":
            return {found for child, inner in kind.children for found in walk(child, inner)}
        return {name} if kind.id == "bigint" else set()

    kinds = {name: duckdb.sqltype(kind) for name, kind in endpoint.columns.items()}
    expected = {found for name, kind in kinds.items() if kind.id == "struct" for found in walk(name, kind)}
    assert set(row_types.nested_count_fields(endpoint.columns)) == expected
    assert all(re.fullmatch(r"\w+", name) for name in expected)


# one key, one row


@pytest.mark.parametrize(
    ("endpoint", "rows", "named"),
    [
        ("user_cost_report", [cost(), cost("7")], "on 2026-11-01, actor.user_id 'user_1', product 'chat'"),
        ("user_usage_report", [usage(), usage()], "actor.user_id 'user_1', product 'chat', model 'claude-opus-4-6'"),
        ("user_cost_report", [cost(model=None), cost(model=None)], "actor.user_id 'user_1', product 'chat', cost_type"),
        ("users", [{"user": {"id": "user_1"}}, {"user": {"id": "user_1"}}], "user.id 'user_1'"),
        ("skills", [{"skill_name": "s", "share_status": "private"}] * 2, "skill_name 's', share_status 'private'"),
        ("artifacts", [{"artifact_type": "html", "is_shared": False}] * 2, "artifact_type 'html', is_shared 'False'"),
    ],
    ids=["cost", "usage", "a null is a value", "users", "skills", "artifacts"],
)
def test_a_key_that_comes_twice_in_an_answer_is_refused_and_named(connection, spool, endpoint, rows, named):
    window = WINDOW if endpoint.endswith("report") else Window(WINDOW.start, WINDOW.start + dt.timedelta(1))
    for bodies in ([page(*rows)], [page(row) for row in rows]):
        message = refusal(connection, spool(endpoint, *bodies, window=window))
        assert f"page {len(bodies)}: the answer `" in message
        assert "has 2 rows with one key" in message
        assert named in message
        assert f"(request req_{len(bodies)})" in message


def test_a_day_listed_twice_in_the_ungrouped_answer_is_refused(connection, spool):
    bucket = {"starting_at": "2026-11-02T00:00:00Z", "ending_at": "2026-11-03T00:00:00Z", "results": [{"amount": "1"}]}
    message = refusal(connection, spool("cost_report", page(bucket, bucket), query="total"))
    assert "the answer `total` has 2 rows with one key on 2026-11-02;" in message


def test_the_same_key_in_another_answer_day_spelling_or_share_status_is_another_row(connection, spool):
    append(
        connection,
        spool("user_cost_report", page(cost(), cost(day="2026-11-02"), cost(product="claude-tag"), cost(product="claude_tag"))),
        spool("skills", page({"skill_name": "s", "share_status": "private"}, {"skill_name": "s", "share_status": None}),
              window=Window(WINDOW.start, WINDOW.start + dt.timedelta(1))),
    )  # fmt: skip
    assert counts(connection)[2] == 4


def test_the_error_quotes_a_long_value_in_part(connection, spool):
    rows = [cost(product="x" * 5000), cost(product="x" * 5000)]
    assert len(refusal(connection, spool("user_cost_report", page(*rows)))) < 600
