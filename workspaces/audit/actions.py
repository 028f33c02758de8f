"""Everything that is recorded: the one closed list of actions, each with its words, in groups as the page filters them.

A new kind of event is a row here and a call of `record` where it happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "sign-in": "Sign-in",
        "tokens": "API tokens",
        "keys": "Provider keys",
        "members": "Members",
        "workspace": "Workspace",
        "agents": "Agents",
        "budgets": "Budgets",
        "runs": "Answers",
        "tools": "Tool approvals",
        "data": "Exports, imports and deletions",
        "sharing": "Sharing",
        "admin": "Administration",
        "audit": "Audit",
    }
)

ACTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "login": ("sign-in", "logged in"),
        "login_failed": ("sign-in", "failed to log in"),
        "logout": ("sign-in", "logged out"),
        "password_changed": ("sign-in", "changed the password"),
        "password_reset": ("sign-in", "reset the password"),
        "account_created": ("sign-in", "got an account"),
        "account_connected": ("sign-in", "connected an account elsewhere"),
        "account_disconnected": ("sign-in", "disconnected an account elsewhere"),
        "profile_changed": ("sign-in", "changed their name"),
        "sessions_ended": ("sign-in", "logged out everywhere else"),
        "second_step_failed": ("sign-in", "failed the second step"),
        "recovery_codes_made": ("sign-in", "made new recovery codes"),
        "second_step_added": ("sign-in", "added a second step"),
        "second_step_removed": ("sign-in", "removed a second step"),
        "email_changed": ("sign-in", "changed the e-mail address"),
        "token_created": ("tokens", "made a token"),
        "token_first_used": ("tokens", "first used a token"),
        "token_revoked": ("tokens", "revoked a token"),
        "key_set": ("keys", "stored a key"),
        "key_replaced": ("keys", "replaced a key"),
        "key_first_used": ("keys", "first used a key"),
        "key_removed": ("keys", "removed a key"),
        "keys_reencrypted": ("keys", "encrypted stored keys anew"),
        "invitation_created": ("members", "invited"),
        "invitation_accepted": ("members", "accepted an invitation"),
        "invitation_revoked": ("members", "revoked an invitation"),
        "member_added": ("members", "added"),
        "member_role_changed": ("members", "changed the role of"),
        "member_removed": ("members", "removed"),
        "workspace_created": ("workspace", "created the workspace"),
        "workspace_changed": ("workspace", "changed the workspace"),
        "workspace_deleted": ("workspace", "deleted the workspace"),
        "agent_created": ("agents", "created"),
        "agent_changed": ("agents", "changed"),
        "agent_deleted": ("agents", "deleted"),
        "budget_created": ("budgets", "made the budget"),
        "budget_changed": ("budgets", "changed the budget"),
        "budget_deleted": ("budgets", "ended the budget"),
        "ai_response_completed": ("runs", "answered"),
        "run_steered": ("runs", "steered an answer"),
        "run_control": ("runs", "handed over control of an answer"),
        "tool_approved": ("tools", "approved a call of"),
        "tool_denied": ("tools", "denied a call of"),
        "tool_expired": ("tools", "had nobody decide in time on a call of"),
        "tool_withdrawn": ("tools", "stopped an answer before anybody decided on a call of"),
        "tool_remembered": ("tools", "allowed further calls of"),
        "tool_forgotten": ("tools", "took back the leave for"),
        "tool_settled": ("tools", "settled a call of unknown outcome of"),
        "question_answered": ("tools", "answered a question of"),
        "exported": ("data", "exported"),
        "conversation_deleted": ("data", "deleted a conversation"),
        "conversation_restored": ("data", "restored a conversation"),
        "visibility_changed": ("sharing", "changed who may read a conversation"),
        "link_created": ("sharing", "made a read-only link"),
        "link_updated": ("sharing", "brought a read-only link up to date"),
        "link_opened": ("sharing", "opened a read-only link"),
        "link_revoked": ("sharing", "revoked a read-only link"),
        "imported": ("data", "imported a conversation"),
        "admin_added": ("admin", "added in the admin"),
        "admin_changed": ("admin", "changed in the admin"),
        "admin_deleted": ("admin", "deleted in the admin"),
        "audit_pruned": ("audit", "removed old events"),
    }
)
"""Action: its group, and the words after who did it. The target's name follows."""


def actions_of(group: str) -> list[str]:
    return [action for action, (its_group, _) in ACTIONS.items() if its_group == group]
