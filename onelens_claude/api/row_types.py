"""DuckDB types of one row of each endpoint, with the API's own field names.

Amounts are typed as JSON, so that a number can be told from a decimal string. Both names of a renamed field stand side
by side (`email`, `email_address`); an absent field reads as null.

What is here: field names and types. What to add here: a field that the API's documentation names.
What must not go here: how a row is stored (`warehouse/raw_tables.py`) or checked (`landing/parsing.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def struct(**fields: str) -> str:
    """Return the DuckDB STRUCT type of `fields`, in the order given."""
    return "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in fields.items()) + ")"


def counts(*names: str) -> str:
    """Return a STRUCT of BIGINT counters."""
    return struct(**dict.fromkeys(names, "BIGINT"))


ERASED_USER = "erased"
"""What stands in place of the id of whoever `forget` erased: their cost stays, as that of all of them together."""
_USER = struct(id="VARCHAR", email_address="VARCHAR", email="VARCHAR")
ACTOR = {
    "user_id": "VARCHAR",
    "email_address": "VARCHAR",
    "email": "VARCHAR",
    "name": "VARCHAR",
    "deleted": "BOOLEAN",
}
_ACTOR = struct(**ACTOR)

_DIMENSIONS = {
    "product": "VARCHAR",
    "model": "VARCHAR",
    "context_window": "VARCHAR",
    "inference_geo": "VARCHAR",
    "speed": "VARCHAR",
}
_COST = {
    "cost_type": "VARCHAR",
    "token_type": "VARCHAR",
    "amount": "JSON",
    "list_amount": "JSON",
    "currency": "VARCHAR",
    "requests": "BIGINT",
}
_USAGE = {
    "uncached_input_tokens": "BIGINT",
    "cache_read_input_tokens": "BIGINT",
    "cache_creation": counts("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    "output_tokens": "BIGINT",
    "server_tool_use": counts("web_search_requests"),
    "requests": "BIGINT",
}
TIMES = {"starting_at": "VARCHAR", "ending_at": "VARCHAR"}
"""A row's span: checked at landing, and stored as `activity_date`."""

USER_COST = {**TIMES, "actor": _ACTOR, **_DIMENSIONS, **_COST}
USER_USAGE = {**TIMES, "actor": _ACTOR, **_DIMENSIONS, **_USAGE, "total_tokens": "BIGINT"}
BUCKET_COST = {**TIMES, **_DIMENSIONS, **_COST}
BUCKET_USAGE = {**TIMES, **_DIMENSIONS, **_USAGE}

FLAT_USAGE = {
    **TIMES,
    "group": struct(model="VARCHAR", service_tier="VARCHAR"),
    "usage": struct(**_USAGE, total_tokens="BIGINT"),
}

_SURFACES = (
    "chat",
    "claude_code",
    "claude_design",
    "claude_tag",
    "cowork",
    "office_agent",
    "science",
    "chat_cowork_unified",
)
SUMMARY = {
    **TIMES,
    "assigned_seat_count": "BIGINT",
    "pending_invite_count": "BIGINT",
    **{f"{period}_active_user_count": "BIGINT" for period in ("daily", "weekly", "monthly")},
    **{f"{period}_adoption_rate": "DOUBLE" for period in ("daily", "weekly", "monthly")},
    **{
        f"{surface}_{period}_active_user_count": "BIGINT"
        for surface in _SURFACES
        for period in ("daily", "weekly", "monthly")
    },
    "science_entitled_user_count": "BIGINT",
}

_CHAT = counts(
    "connectors_used_count",
    "distinct_artifacts_created_count",
    "distinct_connectors_used_count",
    "distinct_conversation_count",
    "distinct_files_uploaded_count",
    "distinct_projects_created_count",
    "distinct_projects_used_count",
    "distinct_shared_artifacts_viewed_count",
    "distinct_skills_used_count",
    "message_count",
    "shared_conversations_viewed_count",
    "thinking_message_count",
)
_COWORK = counts(
    "action_count",
    "artifacts_created_count",
    "connectors_used_count",
    "dispatch_turn_count",
    "distinct_connectors_used_count",
    "distinct_plugins_used_count",
    "distinct_session_count",
    "distinct_skills_used_count",
    "edit_tool_count",
    "file_edit_count",
    "message_count",
    "multi_edit_tool_count",
    "notebook_edit_tool_count",
    "plugins_used_count",
    "sessions_with_file_edits_count",
    "skills_used_count",
    "write_tool_count",
)
_OFFICE_APPS = ("excel", "outlook", "powerpoint", "word")


def _per_office_app(kind: str) -> str:
    return struct(**dict.fromkeys(_OFFICE_APPS, kind))


_TOOL = counts("accepted_count", "rejected_count")
USER_ACTIVITY = {
    "user": _USER,
    "chat_metrics": _CHAT,
    "claude_code_metrics": struct(
        core_metrics=struct(
            artifacts_created_count="BIGINT",
            commit_count="BIGINT",
            distinct_session_count="BIGINT",
            lines_of_code=counts("added_count", "removed_count"),
            pull_request_count="BIGINT",
        ),
        tool_actions=struct(edit_tool=_TOOL, multi_edit_tool=_TOOL, notebook_edit_tool=_TOOL, write_tool=_TOOL),
    ),
    "cowork_metrics": _COWORK,
    "office_metrics": _per_office_app(
        counts(
            "connectors_used_count",
            "distinct_connectors_used_count",
            "distinct_session_count",
            "distinct_skills_used_count",
            "message_count",
            "skills_used_count",
        )
    ),
    "design_metrics": counts(
        "distinct_projects_created_count",
        "distinct_projects_used_count",
        "distinct_session_count",
        "message_count",
    ),
    "science_metrics": counts(
        "delegation_count",
        "distinct_session_count",
        "message_count",
        "remote_compute_job_count",
        "skills_used_count",
    ),
    "chat_cowork_unified_metrics": struct(chat=_CHAT, sessions=_COWORK),
    "claude_tag_metrics": counts("active_day_count", "active_message_count"),
    "web_search_count": "BIGINT",
    "last_activity_date": "VARCHAR",
}

PROJECT = {
    "project_id": "VARCHAR",
    "project_name": "VARCHAR",
    "distinct_user_count": "BIGINT",
    "distinct_conversation_count": "BIGINT",
    "message_count": "BIGINT",
    "created_at": "VARCHAR",
    "created_by": _USER,
}


def _per_surface(thing: str) -> dict[str, str]:
    """Return the per-surface distinct counts of a skill or connector row."""
    conversation = f"distinct_conversation_{thing}_used_count"
    session = f"distinct_session_{thing}_used_count"
    return {
        "chat_metrics": counts(conversation),
        "claude_code_metrics": counts(session),
        "cowork_metrics": counts(session),
        "office_metrics": _per_office_app(counts(session)),
        "chat_cowork_unified_metrics": struct(chat=counts(conversation), sessions=counts(session)),
    }


SKILL = {
    "skill_name": "VARCHAR",
    "skill_display_name": "VARCHAR",
    "share_status": "VARCHAR",
    "distinct_user_count": "BIGINT",
    "enable_count": "BIGINT",
    "invocation_count": "BIGINT",
    **_per_surface("skill"),
    "attributed_list_price": "JSON",
    "estimated_overage_spend": "JSON",
    "currency": "VARCHAR",
}
CONNECTOR = {
    "connector_name": "VARCHAR",
    "connector_display_name": "VARCHAR",
    "distinct_user_count": "BIGINT",
    "individual_auth_distinct_user_count": "BIGINT",
    "managed_auth_distinct_user_count": "BIGINT",
    "read_call_count": "BIGINT",
    "write_call_count": "BIGINT",
    "unclassified_call_count": "BIGINT",
    **_per_surface("connector"),
}


PLUGIN = {
    "plugin_id": "VARCHAR",
    "plugin_name": "VARCHAR",
    "distinct_user_count": "BIGINT",
    "install_count": "BIGINT",
    "invocation_count": "BIGINT",
    "claude_code_metrics": counts("distinct_session_plugin_used_count"),
    "cowork_metrics": counts("distinct_session_plugin_used_count"),
    "chat_cowork_unified_metrics": counts("distinct_session_plugin_used_count"),
}
ARTIFACT = {
    "artifact_type": "VARCHAR",
    "is_shared": "BOOLEAN",
    "distinct_user_count": "BIGINT",
    "artifacts_created_count": "BIGINT",
    "published_artifacts_created_count": "BIGINT",
}


_ENVELOPE = frozenset({"data", "summaries", "has_more", "next_page", "data_refreshed_at", "organization_id", "results"})
_IGNORED = frozenset(
    {  # documented fields that only other queries fill
        "type",
        "distinct_user_count",
        "rbac_group_id",
        "rbac_group_name",
        "slack_channel_id",
        "claude_tag_category",
        "claude_tag_user_id",
        "user_id",
        "product",
        "actor",
        "actor_type",
        "agent_id",
        "api_key_id",
        "context_window",
        "deployment_id",
        "environment_id",
        "inference_geo",
        "session_id",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
_NAME = re.compile(r'"(\w+)"')
_COUNT = re.compile(r'"(\w+)" BIGINT')


def known_fields(columns: Mapping[str, str]) -> frozenset[str]:
    """Return every field name an endpoint's answers are known to carry, at any depth."""
    nested = {name for kind in columns.values() for name in _NAME.findall(kind)}
    return _ENVELOPE | _IGNORED | nested | set(columns)


def nested_count_fields(columns: Mapping[str, str]) -> list[str]:
    """Return the name of every field inside a struct that is a whole number."""
    return sorted({name for kind in columns.values() for name in _COUNT.findall(kind)})
