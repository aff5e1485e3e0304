"""Wrong usage and wrong settings are one message and exit 2; what the connection check says, and exit 3."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import socket

import pytest
import yaml

from onelens_claude.alerts.log import AlertLog
from onelens_claude.cli import COMMANDS
from onelens_claude.settings import load_settings
from tests.worlds import process_environment

from .conftest import SECRET, small_organization


def test_help_names_every_command_and_every_command_has_help_of_80_columns(world, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    overview = world.good("--help").stdout
    assert all(place.summary in " ".join(overview.split()) for place in COMMANDS.values())
    for command in COMMANDS:
        assert command in overview
        answer = world.good(command, "--help")
        assert "Usage: onelens-claude " + command in answer.stdout
        assert len(answer.stdout.splitlines()) > 5
        assert max(map(len, answer.stdout.splitlines())) <= 80
    for command in ("check", "backfill", "daily", "status", "query"):
        assert "--json" in world.good(command, "--help").stdout


def test_no_command_is_help_and_an_unknown_one_or_option_is_wrong_usage(world):
    assert "Usage" in world.run().text
    assert world.run("nonsense").exit_code == 2
    assert world.run("status", "--nonsense").exit_code == 2
    assert world.good("--version").stdout.startswith("onelens-claude ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("backfill", "--from", "yesterday"), "--from 'yesterday' is not a date"),
        (("backfill", "--from", "2025-12-31"), "--from 2025-12-31: the API has nothing before"),
        (("backfill", "--to", "2026-11-20"), "--to 2026-11-20: that day is not over yet"),
        (("backfill", "--from", "2026-11-10", "--to", "2026-11-09"), "--from 2026-11-10 is after --to 2026-11-09"),
        (("backfill", "--from", "2027-01-01"), "--from 2027-01-01: that day is not over yet"),
        (("backfill", "--to", "2025-12-31"), "--to 2025-12-31: the API has nothing before"),
        (("backfill", "--org", "nobody"), "no organisation 'nobody'; known organisations: acme"),
        (("check", "--org", "nobody"), "no organisation 'nobody'"),
        (("query", "--json", "--csv", "select 1"), "only one of --json and --csv"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_reason(world, arguments, complaint):
    answer = world.run(*arguments)
    assert answer.exit_code == 2
    assert complaint in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.text
    assert not world.warehouse.exists()


def test_a_last_day_before_the_organisations_first_names_the_setting_that_says_so(world):
    content = yaml.safe_load(world.config.read_text())
    content["organizations"][0]["backfill_start"] = dt.date(2026, 11, 15)
    world.config.write_text(yaml.safe_dump(content))
    answer = world.run("backfill", "--plan", "--to", "2026-11-14")
    assert answer.exit_code == 2
    assert "--to 2026-11-14 is before backfill_start, 2026-11-15" in answer.stderr
    assert world.good("backfill", "--plan", "--from", "2026-11-13", "--to", "2026-11-14").stdout


@pytest.mark.parametrize("command", [("check",), ("backfill",), ("daily",), ("status",), ("query", "select 1")])
def test_without_settings_every_command_says_how_to_start(world, command):
    world.config.unlink()
    answer = world.run(*command)
    assert answer.exit_code == 2
    assert str(world.config) in answer.stderr
    assert "onelens.example.yaml" in answer.stderr
    assert "make demo" in answer.stderr
    assert "Traceback" not in answer.text


def test_a_typo_in_the_settings_is_named_with_file_key_and_reason(world):
    content = yaml.safe_load(world.config.read_text())
    content["poling"] = content.pop("polling")
    world.config.write_text(yaml.safe_dump(content))
    answer = world.run("status")
    assert answer.exit_code == 2
    assert f"{world.config}: poling: unknown key" in answer.stderr


def test_a_missing_key_variable_is_named_before_anything_is_asked(world):
    world.keys["acme"] = ""
    answer = world.run("backfill")
    assert answer.exit_code == 2
    assert "ACME_KEY is not set" in answer.stderr
    assert not list(world.servers["acme"].api.log)


def test_an_unwritable_warehouse_folder_is_one_message(world):
    (world.folder / "data").write_text("a file where the folder should be")
    answer = world.run("backfill")
    assert answer.exit_code == 2
    assert str(world.folder / "data") in answer.stderr
    assert "Traceback" not in answer.text


def test_an_unusable_home_of_dagster_is_one_message(world):
    (world.folder / "home").write_text("a file where the folder should be")
    answer = world.run("backfill", "--from", "2026-11-19")
    assert answer.exit_code == 2
    assert "DAGSTER_HOME" in answer.stderr
    assert "Traceback" not in answer.text


def test_a_good_connection_passes_three_calls_in_the_documented_order(world):
    answer = world.good("check", "--json").json
    assert answer["ok"] is True
    assert [one["endpoint"] for one in answer["checks"]] == ["summaries", "users", "user_cost_report"]
    assert all(one["request_id"].startswith("req_") for one in answer["checks"])
    assert world.good("check").stdout.count("ok") == 3


def test_an_organisation_whose_engagement_comes_late_still_has_a_good_connection(make_world):
    world = make_world({"acme": small_organization(engagement_lag_days=4)})
    answer = world.good("check").stdout
    assert "summaries: answered for 2026-11-16" in answer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("key", {"api_key": "another"}), "authentication_error"),
        (("scopes", {"scopes": []}), "permission_error"),
        (("access", {"enabled": False}), "permission_error"),
    ],
    ids=["wrong key", "key without scope", "access switched off"],
)
def test_a_refused_key_fails_the_check_with_the_reason_and_request_of_each_call(world, change, reason):
    world.control("acme", change[0], **change[1])
    answer = world.run("check", "--json")
    assert answer.exit_code == 3
    checks = answer.json["checks"]
    assert [one["passed"] for one in checks] == [False] * 3
    assert all(reason in one["reason"] for one in checks)
    assert all(one["request_id"] in one["reason"] for one in checks)
    assert SECRET not in answer.text
    plain = world.run("check")
    assert plain.exit_code == 3
    assert plain.stdout.count("FAIL") == 3


def test_one_bad_organisation_fails_the_check_but_not_the_others_verdict(make_world):
    world = make_world({"acme": small_organization(), "beta": small_organization(api_key="other", seed=2)})
    world.keys["beta"] = "wrong"
    answer = world.run("check", "--json")
    assert answer.exit_code == 3
    verdicts = {(one["organization_id"], one["passed"]) for one in answer.json["checks"]}
    assert verdicts == {("acme", True), ("beta", False)}
    assert world.run("check", "--org", "acme").exit_code == 0


def test_one_organisation_under_two_entries_fails_the_check_with_both_names(world):
    content = yaml.safe_load(world.config.read_text())
    content["organizations"].append(content["organizations"][0] | {"id": "twin"})
    world.config.write_text(yaml.safe_dump(content))
    answer = world.run("check", "--json")
    assert answer.exit_code == 3
    (verdict,) = [one for one in answer.json["checks"] if not one["passed"]]
    assert verdict["organization_id"] == "twin"
    assert "which acme reads already; everything would be counted twice" in verdict["reason"]


def test_an_unreachable_host_fails_the_check_and_names_it(world):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    content = yaml.safe_load(world.config.read_text())
    content["organizations"][0]["base_url"] = address
    content["polling"]["attempts"] = 1
    world.config.write_text(yaml.safe_dump(content))
    answer = world.run("check")
    assert answer.exit_code == 3
    assert address in answer.stdout
    assert "Check base_url" in answer.stdout
    assert "Traceback" not in answer.text


def change_keys(world, **settings):
    content = yaml.safe_load(world.config.read_text())
    content["organizations"][0].update(settings)
    world.config.write_text(yaml.safe_dump(content))


def test_status_knows_a_key_by_fingerprint_and_age_and_check_and_status_warn_of_an_open_file(world, monkeypatch):
    key_file = world.folder / "next.key"
    key_file.write_text("sk-ant-api01-next")
    key_file.chmod(0o644)
    change_keys(world, next_api_key_file=str(key_file))
    with process_environment(world.variables()):
        first_seen = world.now - dt.timedelta(days=12)
        world.warehouse.parent.mkdir()
        AlertLog(load_settings().alerts_path).first_seen(
            {("acme", hashlib.sha256(SECRET.encode()).hexdigest())}, first_seen
        )
    answer = world.good("status", "--json")
    following, present = answer.json["keys"]
    assert following["setting"] == "organizations.acme.next_api_key_file"
    assert (following["fingerprint"], following["age_days"]) == (
        hashlib.sha256(b"sk-ant-api01-next").hexdigest()[:12],
        None,
    )
    assert (present["setting"], present["age_days"]) == ("organizations.acme.api_key_env", 12)
    assert present["fingerprint"] == hashlib.sha256(SECRET.encode()).hexdigest()[:12]
    (warning,) = answer.json["warnings"]
    assert "next.key is open to other users of this machine (mode 0644); run `chmod 600` on it" in warning
    plain = world.good("status")
    assert present["fingerprint"] in plain.stdout
    assert warning in plain.stderr
    assert warning in world.good("check").stderr
    assert world.good("check", "--json").json["warnings"][0] == warning
    key_file.chmod(0o600)
    assert world.good("status", "--json").json["warnings"] == []


def test_status_runs_no_program_for_a_key(world):
    ran = world.folder / "ran"
    change_keys(world, api_key_env=None, api_key_command=["touch", str(ran)])
    assert world.good("status", "--json").json["keys"] == []
    assert not ran.exists()


def test_check_says_how_a_rotation_ends_and_when_the_next_key_is_refused(world):
    world.environment["NEXT_KEY"] = "sk-ant-api01-next"
    change_keys(world, next_api_key_env="NEXT_KEY")
    answer = world.good("check", "--json")
    (warning,) = answer.json["warnings"]
    assert warning.startswith("acme: the next API key is not used, the present one is: acme: summaries ")
    assert "401 authentication_error" in warning
    world.control("acme", "key", api_key="sk-ant-api01-next", keep_old=True)
    assert "acme: the next API key is good. To end the rotation, name it in the place of" in world.good("check").stderr
    world.control("acme", "key", api_key="sk-ant-api01-next")
    assert world.good("check", "--json").json["warnings"] == []


def test_the_plan_of_a_backfill_asks_nothing_and_writes_nothing(world):
    answer = world.good("backfill", "--plan", "--from", "2026-11-16", "--json")
    plan = json.loads(answer.stdout)
    assert {one["endpoint"] for one in plan["plan"]} >= {"users", "cost_report"}
    assert not list(world.servers["acme"].api.log)
    assert not world.warehouse.exists()


def test_nothing_loaded_yet_is_said_by_status_query_and_tidy(world):
    world.keys.clear()
    nothing = {"status", "unfinished_backfills", "budgets", "open_anomalies", "channels_down", "keys", "warnings"}
    assert world.good("status", "--json").json == {name: [] for name in nothing}
    assert "backfill" in world.good("status").stderr
    answer = world.run("query", "select 1")
    assert answer.exit_code == 1
    assert "there is no serving copy yet" in answer.stderr
    answer = world.run("tidy")
    assert answer.exit_code == 1
    assert "there is nothing to tidy yet; run a backfill first" in answer.stderr
    assert not world.warehouse.exists()
