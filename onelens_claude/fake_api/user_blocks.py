"""The metric blocks of a `users` row: chat, Claude Code, Cowork, Office, Design, Science and the optional ones.

What is here: how activities of one user and day, or of several, become nested counters.
What to add here: another block of counters.
What must not go here: which activities a row covers, and its identity (entities.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelens_claude.fake_api.activity import EDIT_TOOLS, OFFICE_APPS, Activity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = dict[str, Any]


def _sum(activities: Sequence[Activity], name: str) -> int:
    return sum(activity.counters.get(name, 0) for activity in activities)


def user_blocks(activities: Sequence[Activity], features: frozenset[str], *, single: bool) -> Row:
    """Return the metric blocks of a users row; `single` (one user, one day) is when distinct counts are known."""

    def known(value: int) -> int | None:
        return value if single else None

    def sessions(surface: str) -> int | None:
        return known(sum(activity.sessions.get(surface, 0) for activity in activities))

    def messages(surface: str) -> int:
        return sum(activity.messages.get(surface, 0) for activity in activities)

    def calls(kind: str, surface: str) -> tuple[int, int | None]:
        uses = [use for activity in activities for use in getattr(activity, kind) if use.surface == surface]
        return sum(use.calls for use in uses), known(len({use.name for use in uses}))

    def created(surface: str) -> int:
        return sum(1 for activity in activities for artifact in activity.artifacts if artifact[0] == surface)

    chat_connectors, chat_connector_names = calls("connectors", "chat")
    work_connectors, work_connector_names = calls("connectors", "cowork")
    work_skills, work_skill_names = calls("skills", "cowork")
    work_plugins, work_plugin_names = calls("plugins", "cowork")
    edits: dict[str, int | None] = {tool: _sum(activities, f"cowork_{tool}") for tool in EDIT_TOOLS}
    edits_on, plugins_on = "file_edit_metrics" in features, "cowork_plugins" in features
    row: Row = {
        "chat_metrics": {
            "message_count": messages("chat"),
            "thinking_message_count": _sum(activities, "thinking_messages"),
            "distinct_conversation_count": sessions("chat"),
            "distinct_projects_used_count": known(sum(len(activity.projects) for activity in activities)),
            "distinct_projects_created_count": _sum(activities, "projects_created"),
            "distinct_artifacts_created_count": created("chat"),
            "distinct_files_uploaded_count": known(_sum(activities, "files_uploaded")),
            "distinct_skills_used_count": calls("skills", "chat")[1],
            "distinct_connectors_used_count": chat_connector_names,
            "connectors_used_count": chat_connectors,
            "distinct_shared_artifacts_viewed_count": known(_sum(activities, "shared_artifacts_viewed")),
            "shared_conversations_viewed_count": _sum(activities, "shared_conversations_viewed"),
        },
        "claude_code_metrics": {
            "core_metrics": {
                "distinct_session_count": sessions("claude_code"),
                "commit_count": _sum(activities, "commits"),
                "pull_request_count": _sum(activities, "pull_requests"),
                "lines_of_code": {
                    "added_count": _sum(activities, "lines_added"),
                    "removed_count": _sum(activities, "lines_removed"),
                },
                "artifacts_created_count": created("claude_code"),
            },
            "tool_actions": {
                tool: {
                    "accepted_count": sum(activity.tools[tool][0] for activity in activities),
                    "rejected_count": sum(activity.tools[tool][1] for activity in activities),
                }
                for tool in EDIT_TOOLS
            },
        },
        "cowork_metrics": {
            "distinct_session_count": sessions("cowork"),
            "message_count": messages("cowork"),
            "action_count": _sum(activities, "cowork_actions"),
            "dispatch_turn_count": _sum(activities, "cowork_dispatch_turns"),
            "artifacts_created_count": created("cowork"),
            "connectors_used_count": work_connectors,
            "distinct_connectors_used_count": work_connector_names,
            "skills_used_count": work_skills,
            "distinct_skills_used_count": work_skill_names,
            "plugins_used_count": work_plugins if plugins_on else None,
            "distinct_plugins_used_count": work_plugin_names if plugins_on else None,
            "file_edit_count": sum(value or 0 for value in edits.values()) if edits_on else None,
            **{f"{tool}_count": edits[tool] if edits_on else None for tool in EDIT_TOOLS},
            "sessions_with_file_edits_count": known(_sum(activities, "cowork_edit_sessions")) if edits_on else None,
        },
        "office_metrics": {app: _office(activities, app, sessions, messages, calls) for app in OFFICE_APPS},
        "design_metrics": {
            "distinct_session_count": sessions("design"),
            "message_count": messages("design"),
            "distinct_projects_created_count": _sum(activities, "design_projects_created"),
            "distinct_projects_used_count": known(_sum(activities, "design_projects_used")),
        },
        "science_metrics": {
            "distinct_session_count": sessions("science"),
            "message_count": messages("science"),
            "delegation_count": _sum(activities, "science_delegations"),
            "remote_compute_job_count": _sum(activities, "science_jobs"),
            "skills_used_count": calls("skills", "science")[0],
        },
        "web_search_count": _sum(activities, "web_search_count"),
    }
    if "claude_tag" in features:
        active = [activity.tag_messages for activity in activities]
        row["claude_tag_metrics"] = {
            "active_day_count": sum(1 for count in active if count),
            "active_message_count": sum(active),
        }
    if "unified" in features:
        row["chat_cowork_unified_metrics"] = {
            "chat": _zeros(row["chat_metrics"]),
            "sessions": _zeros(row["cowork_metrics"]),
        }
    return row


def _zeros(block: Row) -> Row:
    return {name: None if name == "distinct_shared_artifacts_viewed_count" else 0 for name in block}


def _office(
    _activities: Sequence[Activity],
    app: str,
    sessions: Callable[[str], int | None],
    messages: Callable[[str], int],
    calls: Callable[[str, str], tuple[int, int | None]],
) -> Row:
    skills, connectors = calls("skills", app), calls("connectors", app)
    return {
        "distinct_session_count": sessions(app),
        "message_count": messages(app),
        "skills_used_count": skills[0],
        "distinct_skills_used_count": skills[1],
        "connectors_used_count": connectors[0],
        "distinct_connectors_used_count": connectors[1],
    }
