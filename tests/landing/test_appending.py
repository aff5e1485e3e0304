"""All of a batch or none of it: bytes verbatim, amounts exact, and the first row that breaks the contract named."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onelens_claude.api import row_types
from onelens_claude.api.client import Page, read_envelope, split_rows
from onelens_claude.api.endpoints import ENDPOINTS
from onelens_claude.api.windows import Window
from onelens_claude.clock import naive_utc
from onelens_claude.errors import InvalidPullError, NotYetAvailableError
from onelens_claude.landing import appending
from onelens_claude.landing.appending import append_pulls, record_failure
from onelens_claude.landing.fetching import FetchedPull, PullRequest, spool_page
from onelens_claude.warehouse.raw_tables import create_raw_tables

if TYPE_CHECKING:
    from pathlib import Path

FETCHED_AT = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
WINDOW = Window(dt.date(2026, 11, 1), dt.date(2026, 11, 4))
Spool = Callable[..., FetchedPull]


@pytest.fixture
def connection():
    with duckdb.connect() as memory:
        memory.execute("set TimeZone = 'UTC'")
        create_raw_tables(memory)
        yield memory


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Put hand-written bodies where a fetch would have put them."""

    def make(
        endpoint: str, *bodies: Any, window: Window = WINDOW, organization: str = "acme", api_id: str | None = None,
        query: str | None = None, refreshed_at: dt.datetime | None = None,
    ) -> FetchedPull:  # fmt: skip
        asked = PullRequest(organization, ENDPOINTS[endpoint], window)
        pull = FetchedPull(request=asked, folder=tmp_path / uuid.uuid4().hex)
        pull.folder.mkdir()
        for number, body in enumerate(bodies, start=1):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            head, rows, tail = split_rows(
                content, read_envelope(content, where="", request_id=None), where="", request_id=None
            )
            came = Page(
                query=next((one for one in asked.endpoint.queries if one.name == query), asked.endpoint.queries[-1]),
                request_path=f"/v1/{endpoint}?page={number}",
                request_id=f"req_{number}",
                fetched_at=FETCHED_AT,
                head=head,
                rows=rows,
                tail=tail,
                data_refreshed_at=refreshed_at,
                api_organization_id=api_id,
            )
            pull.pages.append(spool_page(pull.folder / f"{number:06d}.json", came))
        pull.sha256 = "sha"
        return pull

    return make


def cost(amount: Any = "100.5", day: str = "2026-11-01", **fields: Any) -> dict[str, Any]:
    after = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    return {
        "starting_at": f"{day}T00:00:00Z",
        "ending_at": f"{after}T00:00:00Z",
        "actor": {"type": "user_actor", "user_id": "user_1", "email_address": "a@example.com", "name": "A", "deleted": False},
        "product": "chat",
        "model": "claude-opus-4-6",
        "cost_type": "tokens",
        "token_type": "output_tokens",
        "amount": amount,
        "list_amount": "200",
        "currency": "USD",
        **fields,
    }  # fmt: skip


def costs(first: int, count: int) -> list[dict[str, Any]]:
    """Return so many rows, each of another user."""
    return [cost(actor={"user_id": f"user_{n}", "name": "A"}) for n in range(first, first + count)]


def dense(rows: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(row, separators=(",", ":")).encode() for row in rows]


def usage(**fields: Any) -> dict[str, Any]:
    row = cost()
    for name in ("cost_type", "token_type", "amount", "list_amount", "currency"):
        del row[name]
    return row | {"output_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 3}, "requests": 2} | fields


def page(*rows: Any, **envelope: Any) -> dict[str, Any]:
    return {"data": list(rows), "has_more": False, "next_page": None, **envelope}


def raw(text: str, old: str = '"amount": "100.5"') -> bytes:
    """Return a page of one cost row with a piece of its text replaced."""
    body = json.dumps(page(cost()))
    assert old in body
    return body.replace(old, text).encode()


def append(connection: Any, *pulls: FetchedPull) -> list[appending.AppendedPull]:
    return append_pulls(connection, pulls, run_id="run")


def counts(connection: Any) -> tuple[int, ...]:
    return tuple(
        connection.execute(f"select count(*) from claude_raw.{table}").fetchone()[0]
        for table in ("pulls", "user_cost_report", "user_cost_report_rows")
    )


def refusal(connection: Any, *pulls: FetchedPull) -> str:
    before = counts(connection)
    with pytest.raises(InvalidPullError) as refused:
        append(connection, *pulls)
    assert counts(connection) == before
    assert str(pulls[0].folder.parent) not in str(refused.value)
    return str(refused.value)


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


# amounts


amounts = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}" + (f".{fraction}" if fraction else ""),
    st.sampled_from(["", "-"]),
    st.integers(0, 10**26 - 1).map(str) | st.just("00012"),
    st.text("0123456789", max_size=12),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_amounts=st.lists(amounts, min_size=1, max_size=8))
@example(given_amounts=["41280.000000", "0.000000000001", "-0", "99999999999999999999999999.999999999999"])
def test_an_amount_is_stored_as_the_api_said_it_and_adds_up_exactly(connection, spool, given_amounts):
    pull = spool(
        "user_cost_report", page(*[cost(amount, model=f"model-{n}") for n, amount in enumerate(given_amounts)])
    )
    expected = [Decimal(amount) for amount in given_amounts]
    with localcontext(prec=80):
        true_sum, widest_sum = sum(expected), sum(map(abs, expected))
    try:
        (done,) = append(connection, pull)
    except InvalidPullError:
        assert widest_sum >= 10**26  # a sum beyond DECIMAL(38, 12) is refused, never rounded
        return
    stored = connection.execute(
        "select amount from claude_raw.user_cost_report_rows where pull_id = ? order by model", [pull.pull_id]
    ).fetchall()
    assert [value for (value,) in stored] == expected
    assert done.days[0].amount_cents == true_sum


@pytest.mark.parametrize(
    "text", ["7", "-0", "-0.5", "0.5", "-12.000000000001", "007.50", "999999.999999999999", "1000000", "123456789012345678",
             "1234567890123456789.5", "-99999999999999999999999999.999999999999",
             # zeros beyond the twelfth digit lose nothing
             "488.780028000000000", "1234567890123456789.5000000000000000", "-0.000000000001000"],
)  # fmt: skip
def test_every_way_to_write_an_amount_is_read(connection, spool, text):
    append(connection, spool("user_cost_report", page(cost(text))))
    assert connection.execute("select amount from claude_raw.user_cost_report_rows").fetchall() == [(Decimal(text),)]


@pytest.mark.parametrize(
    "text",
    ['"12,5"', '"NaN"', '"1e999"', '"0.1234567890123"', "12.5", "1e999", "12", "true", '""', '" 1"', '"1 "', '"+1"', '".5"', '"5."',
     '"1_000"', '"Infinity"', '"0x10"', '"1\\n"', '"--1"', "{}", "[]", '"100000000000000000000000000"', '"١٢"'],
)  # fmt: skip
def test_an_amount_that_is_no_decimal_string_stops_the_pull_and_is_quoted(connection, spool, text):
    message = refusal(connection, spool("user_cost_report", page(cost()), raw(f'"amount": {text}')))
    assert message.startswith("acme: user_cost_report 2026-11-01..2026-11-03: ")
    assert message.endswith("(request req_2)")
    assert text in message
    if text != "1e999":
        assert "page 2: amount " in message
        assert "is not a decimal string of at most 12 fractional digits" in message


@pytest.mark.parametrize("name", ["list_amount", "amount"])
def test_both_amounts_are_checked(connection, spool, name):
    assert f'{name} "1.2.3" is not a decimal' in refusal(
        connection, spool("user_cost_report", page(cost(**{name: "1.2.3"})))
    )


@pytest.mark.parametrize("gone", ['"amount": null', '"other": 1'])
def test_a_row_without_an_amount_is_refused(connection, spool, gone):
    assert "a row has no amount" in refusal(connection, spool("user_cost_report", raw(gone)))


def test_a_list_amount_may_be_missing(connection, spool):
    row = cost()
    del row["list_amount"]
    append(connection, spool("user_cost_report", page(row, cost(list_amount=None, model="another"))))
    assert connection.execute("select list_amount from claude_raw.user_cost_report_rows").fetchall() == [
        (None,),
        (None,),
    ]


def test_money_of_skills_is_checked_too(connection, spool):
    day = Window(WINDOW.start, WINDOW.start + dt.timedelta(1))
    message = refusal(
        connection, spool("skills", page({"skill_name": "s", "attributed_list_price": "12,5"}), window=day)
    )
    assert 'attributed_list_price "12,5" is not a decimal' in message


def test_another_currency_is_refused(connection, spool):
    assert "amounts are in EUR" in refusal(connection, spool("user_cost_report", page(cost(currency="EUR"))))


# counts


@pytest.mark.parametrize("text", ["12.7", "12.50", "0.1", "1e-1", "-3.5"])
def test_a_counter_with_a_fraction_is_refused_rather_than_rounded(connection, spool, text):
    body = json.dumps(page(usage(output_tokens="@"))).replace('"@"', text).encode()
    message = refusal(connection, spool("user_usage_report", page(usage()), body))
    assert "page 2: " in message
    assert message.endswith(f"output_tokens {float(text)} is not a whole number (request req_2)")


def test_a_counter_deep_inside_is_looked_at_too(connection, spool):
    body = page(usage(cache_creation={"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0.5}))
    assert '"ephemeral_1h_input_tokens": 0.5' in refusal(connection, spool("user_usage_report", body))


@pytest.mark.parametrize(
    ("text", "count"),
    [("12", 12), ("12.0", 12), ("1e3", 1000), ("null", None), ("9223372036854775807", 2**63 - 1), ("-0.0", 0),
     ("1.5e3", 1500)],
)  # fmt: skip
def test_a_whole_counter_in_any_form_is_read(connection, spool, text, count):
    body = json.dumps(page(usage(output_tokens="@"))).replace('"@"', text).encode()
    append(connection, spool("user_usage_report", body))
    assert connection.execute("select output_tokens from claude_raw.user_usage_report_rows").fetchall() == [(count,)]


@pytest.mark.parametrize("value", ["many", "12.7", 2**63, 9007199254740993.0, {"a": 1}])
def test_a_counter_that_is_no_number_is_refused(connection, spool, value):
    message = refusal(connection, spool("user_usage_report", page(usage(output_tokens=value))))
    assert message.startswith("acme: user_usage_report 2026-11-01..2026-11-03: page 1: output_tokens ")
    assert message.endswith(" is not a whole number (request req_1)")


def test_fractions_elsewhere_are_no_counters(connection, spool):
    day = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z"}
    append(
        connection,
        spool(
            "summaries",
            page({**day, "daily_adoption_rate": 12.75, "a_new_average_count": 1.5, "daily_active_user_count": 3}),
        ),
    )
    assert connection.execute(
        "select daily_adoption_rate, daily_active_user_count from claude_raw.summaries_rows"
    ).fetchall() == [(12.75, 3)]


# days


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-10-31T00:00:00Z", "2026-11-01T00:00:00Z", "lies outside the window"),
        ("2026-11-04T00:00:00Z", "2026-11-05T00:00:00Z", "lies outside the window"),
        ("2026-11-01T01:00:00Z", "2026-11-02T01:00:00Z", "is not a whole UTC day"),
        ("2026-11-01T00:00:00+02:00", "2026-11-02T00:00:00+02:00", "is not a whole UTC day"),
        ("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z", "is not a whole UTC day"),
        ("soon", "2026-11-02T00:00:00Z", "is not a whole UTC day"),
        (None, "2026-11-02T00:00:00Z", "is not a whole UTC day"),
    ],
)
def test_a_row_of_another_day_is_refused(connection, spool, start, end, words):
    message = refusal(connection, spool("user_cost_report", page(cost(), cost(starting_at=start, ending_at=end))))
    assert f"page 1: a row from {start or 'null'} to {end} {words}" in message


@pytest.mark.parametrize("end", [None, "gone"])
def test_a_row_that_does_not_say_its_end_is_of_the_day_it_starts(connection, spool, end):
    row = cost(ending_at=None)
    if end == "gone":
        del row["ending_at"]
    append(connection, spool("user_cost_report", page(row)))
    assert connection.execute("select activity_date from claude_raw.user_cost_report_rows").fetchall() == [
        (WINDOW.start,)
    ]


def test_a_day_in_another_offset_is_the_same_day(connection, spool):
    append(
        connection,
        spool(
            "user_cost_report",
            page(cost(starting_at="2026-11-01T02:00:00+02:00", ending_at="2026-11-02T02:00:00+02:00")),
        ),
    )
    assert connection.execute("select activity_date from claude_raw.user_cost_report_rows").fetchall() == [
        (dt.date(2026, 11, 1),)
    ]


# verbatim pages


def payloads(connection: Any, pull: FetchedPull) -> list[bytes]:
    found = connection.execute(
        "select encode(payload) from claude_raw.user_cost_report where pull_id = ? order by page_number", [pull.pull_id]
    ).fetchall()
    return [payload for (payload,) in found]


ROW = json.dumps(cost(), separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "between", [b",", b", ", b",\n", b",\r\n  ", b" ,"], ids=["dense", "spaced", "lines", "windows", "odd"]
)
@pytest.mark.parametrize("edge", [b"", b"\n", b" "], ids=["dense", "lines", "spaced"])
def test_a_page_of_any_layout_is_stored_byte_by_byte(connection, spool, between, edge):
    first, last = (
        b'{"data":' + edge + b"[" + edge + between.join(rows) + edge + b"]" + edge + b',"has_more":false}' + edge
        for rows in (dense(costs(0, 300)), dense(costs(300, 300)))
    )
    pull = spool("user_cost_report", first, page(), last)
    append(connection, pull)
    assert payloads(connection, pull) == [first, json.dumps(page()).encode(), last]
    assert connection.execute("select count(*) from claude_raw.user_cost_report_rows").fetchone() == (600,)


@pytest.mark.parametrize(
    "text", ['},{"a', "},{", '}, {"', "\x01", "\\n", "\u2028", "ü" * 3000, "'; drop", "😀" * 1500, "\t"]
)
def test_text_that_looks_like_the_end_of_a_row_is_not_cut(connection, spool, text):
    rows = [cost(model=f"{text}{n}", product=text) for n in range(40)]
    first, last = (json.dumps(page(*part), ensure_ascii=False).encode() for part in (rows[:20], rows[20:]))
    pull = spool("user_cost_report", first, last)
    append(connection, pull)
    assert payloads(connection, pull) == [first, last]
    found = connection.execute("select distinct model from claude_raw.user_cost_report_rows").fetchall()
    assert {model for (model,) in found} == {row["model"] for row in rows}


def test_a_large_page_is_stored_in_parts_and_read_as_one(connection, spool):
    body, last = (b'{"data":[' + b",".join(dense(costs(first, 4000))) + b"]}" for first in (0, 4000))
    pull = spool("user_cost_report", body, last)
    append(connection, pull)
    longest, parts = connection.execute(
        "select max(strlen(part)), count(*) from claude_raw.page_parts where page_number = 1"
    ).fetchone()
    assert longest < 3000 < len(body) / 100 < 100 * parts
    assert payloads(connection, pull) == [body, last]


def test_what_stands_before_the_rows_may_begin_like_them(connection, spool):
    body = b'{"note":"[{","x":[{"starting_at":1}],"data":[' + ROW + b'],"more":[{"starting_at":2}]}'
    pull = spool("user_cost_report", body)
    append(connection, pull)
    assert payloads(connection, pull) == [body]


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


# legal JSON that strict readers refuse

PAIR, HIGH, LOW = "\\ud83d\\ude00", "\\ud83d", "\\ude00"


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (HIGH, "\ufffd"),
        (LOW, "\ufffd"),
        (f"a{HIGH}b{LOW}c", "a\ufffdb\ufffdc"),
        (HIGH + PAIR, "\ufffd\U0001f600"),
        (LOW + HIGH, "\ufffd\ufffd"),
        (PAIR, "\U0001f600"),
        (PAIR.upper().replace("U", "u") + HIGH, "\U0001f600\ufffd"),
        ("\\\\" + HIGH[1:] + LOW, "\\ud83d\ufffd"),
    ],
    ids=[
        "high",
        "low",
        "both apart",
        "high and pair",
        "the wrong way round",
        "pair",
        "upper case",
        "escaped backslash",
    ],
)
@pytest.mark.parametrize("endpoint", ["user_cost_report", "cost_report"])
def test_half_a_surrogate_pair_is_kept_verbatim_and_read_as_the_replacement_character(
    connection, spool, endpoint, escaped, name
):
    row = cost(model="MODEL")
    rows = [row] if endpoint == "user_cost_report" else [
        {"starting_at": row["starting_at"], "ending_at": row["ending_at"], "results": [row]}
    ]  # fmt: skip
    body = json.dumps(page(*rows)).replace("MODEL", escaped).encode()
    pull = spool(endpoint, body)
    append(connection, pull)
    assert connection.execute(f"select model from claude_raw.{endpoint}_rows").fetchall() == [(name,)]
    assert connection.execute(f"select encode(payload) from claude_raw.{endpoint}").fetchall() == [(body,)]


def test_a_byte_order_mark_is_passed_over_and_kept(connection, spool):
    body = b"\xef\xbb\xbf" + json.dumps(page(cost())).encode()
    pull = spool("user_cost_report", body)
    append(connection, pull)
    assert payloads(connection, pull) == [body]
    assert counts(connection)[2] == 1


@pytest.mark.parametrize("length", [99_999, 100_000, 100_001, 250_000])
@pytest.mark.parametrize("count", [2, 11, 33])
def test_long_rows_that_are_equally_long_are_stored(connection, spool, length, count):
    """The first line begins with the list's bracket, the others end with a comma: all are of the same length."""
    empty = len(dense([cost(model="00")])[0])
    rows = dense([cost(model=f"{n:02}".ljust(length - empty - 1 + 2, "x")) for n in range(count)])
    rows[0] = rows[0].replace(b"xx", b"x", 1)
    body = b'{"data":[' + b",".join(rows) + b"]}"
    pull = spool("user_cost_report", body)
    lines = pull.pages[0].path.read_bytes().split(b"\n")
    assert {len(line) for line in lines[:-1]} == {length}
    append(connection, pull)
    assert payloads(connection, pull) == [body]
    assert counts(connection)[2] == count
