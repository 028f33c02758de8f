"""The admin of people, workspaces, tokens and keys. Secrets are entered here, never read here."""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from .models import ApiToken, AuditEvent, Membership, ProviderKey, User, Workspace
from .provider_keys import last_four
from .services import workspace_create
from .staff import OperatorsOnly, Scoped, ScopedFilter, is_operator, staffed
from .tokens import token_create, token_revoke_row


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("username", "email", "name")


class MembershipInline(Scoped, admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 1
    autocomplete_fields = ["user"]
    readonly_fields = ["created_at"]


class MembershipOfPersonInline(Scoped, admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 0
    autocomplete_fields = ["workspace"]
    readonly_fields = ["created_at"]


@admin.register(User)
class PersonAdmin(Scoped, UserAdmin):  # type: ignore[type-arg]
    """Staff who are no operators see the people of their workspaces, and change those who are nowhere else:
    whoever may set a person's password or rights may act as that person everywhere."""

    add_form = PersonCreationForm
    list_display = ["username", "name", "email", "is_active", "is_staff", "last_login"]
    list_filter = [
        "is_active",
        "is_staff",
        "is_superuser",
        ("memberships__workspace", ScopedFilter),
        "memberships__role",
    ]
    search_fields = ["username", "name", "email"]
    inlines = [MembershipOfPersonInline]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (
            "Person",
            {
                "fields": (
                    "name",
                    "email",
                    "title",
                    "about",
                    "timezone",
                    "theme",
                    "shortcuts_enabled",
                    "notifications_enabled",
                )
            },
        ),
        ("Rights here", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "name", "email", "usable_password", "password1", "password2"),
            },
        ),
    )

    def scope(self, rows: QuerySet[Any], mine: QuerySet[Workspace]) -> QuerySet[Any]:
        return rows.filter(pk__in=Membership.objects.filter(workspace__in=mine.values("pk")).values("user"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if is_operator(request):
            return super().get_readonly_fields(request, obj)
        return [
            "is_active",
            "is_staff",
            "is_superuser",
            "groups",
            "user_permissions",
            "last_login",
            "date_joined",
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _only_mine(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A list's action would delete without asking for each: it is for operators.
        return super().has_delete_permission(request, obj) and (
            is_operator(request) if obj is None else _only_mine(request, obj)
        )


def _only_mine(request: HttpRequest, person: User | None) -> bool:
    if person is None or is_operator(request):
        return True
    elsewhere = person.memberships.exclude(workspace__in=staffed(request).values("pk"))
    return not person.is_superuser and not elsewhere.exists()


@admin.register(Workspace)
class WorkspaceAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    workspace_path = "pk"
    list_display = [
        "name",
        "slug",
        "plan",
        "members",
        "allow_personal_keys",
        "allow_share_links",
        "require_two_step",
        "created_at",
        "deleted_at",
    ]
    list_filter = [
        "plan",
        "allow_personal_keys",
        "allow_share_links",
        "require_two_step",
        ("deleted_at", admin.EmptyFieldListFilter),
    ]
    ordering = ["name"]
    search_fields = ["name", "slug"]
    readonly_fields = ["created_at"]
    inlines = [MembershipInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["created_at"] if is_operator(request) else [
            "slug", "plan", "require_two_step", "created_at", "deleted_at",
        ]  # fmt: skip

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {"slug": ["name"]} if is_operator(request) else {}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        found: QuerySet[Workspace] = super().get_queryset(request)
        return found.annotate(_members=Count("memberships"))

    @admin.display(description="members", ordering="_members")
    def members(self, workspace: Workspace) -> int:
        return int(getattr(workspace, "_members", 0))

    def save_model(self, request: HttpRequest, obj: Workspace, form: Any, change: bool) -> None:
        """A new one is made by the service, so that it gets its agents."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made = workspace_create(name=obj.name, slug=obj.slug, plan=obj.plan)
        obj.pk, obj.created_at = made.pk, made.created_at
        obj._state.adding = False
        obj.save()


@admin.register(Membership)
class MembershipAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "workspace", "role", "created_at"]
    list_editable = ["role"]
    list_filter = ["role", ("workspace", ScopedFilter)]
    list_select_related = ["user", "workspace"]
    search_fields = ["user__username", "user__name", "user__email", "workspace__name", "workspace__slug"]
    autocomplete_fields = ["user", "workspace"]


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    read_only = forms.BooleanField(required=False, help_text="The token may read, but not change anything.")

    class Meta:
        model = ApiToken
        fields = ("name", "user", "workspace", "expires_at")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        user, workspace = data.get("user"), data.get("workspace")
        if user and workspace and not Membership.objects.filter(user=user, workspace=workspace).exists():
            raise forms.ValidationError(f"{user} is not a member of {workspace}.")
        return data


@admin.register(ApiToken)
class ApiTokenAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    form = TokenForm
    list_display = [
        "name",
        "ending",
        "user",
        "workspace",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ]
    list_filter = [("workspace", ScopedFilter), ("revoked_at", admin.EmptyFieldListFilter), "created_at"]
    list_select_related = ["user", "workspace"]
    search_fields = ["name", "last_four", "user__username", "user__name"]
    autocomplete_fields = ["user", "workspace"]
    actions = ["revoke"]
    date_hierarchy = "created_at"

    @admin.display(description="token")
    def ending(self, token: ApiToken) -> str:
        return f"nxs_…{token.last_four}"

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> list[str]:
        shown = ["ending", "scopes", "created_at", "last_used_at", "revoked_at"]
        return ["user", "workspace", *shown] if obj is not None else []

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> list[Any]:
        if obj is None:
            return ["name", "user", "workspace", "read_only", "expires_at"]
        return [
            "name",
            "ending",
            "user",
            "workspace",
            "scopes",
            "expires_at",
            "created_at",
            "last_used_at",
            "revoked_at",
        ]

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made = token_create(
            user=obj.user,
            workspace=obj.workspace,
            name=obj.name,
            scopes=["read"] if form.cleaned_data.get("read_only") else [],
            expires_at=obj.expires_at,
        )
        obj.pk, obj.digest, obj.last_four, obj.scopes = (
            made.row.pk,
            made.row.digest,
            made.row.last_four,
            made.row.scopes,
        )
        obj._state.adding = False
        messages.warning(request, f"Copy the token now, it is not shown again: {made.text}")

    @admin.action(description="Revoke the selected tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        count = 0
        for token in queryset.filter(revoked_at=None):
            token_revoke_row(token=token)  # one by one: each rings at its sockets
            count += 1
        messages.success(request, f"Revoked {count} tokens.")


class ProviderKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    new_secret = forms.CharField(
        label="Key",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="Stored encrypted and never shown again. Empty: it stays as it is.",
    )

    class Meta:
        model = ProviderKey
        fields = ("workspace", "user", "provider")

    def clean_new_secret(self) -> str:
        secret: str = self.cleaned_data["new_secret"].strip()
        if not secret and self.instance._state.adding:
            raise forms.ValidationError("A new entry needs its key.")
        return secret


@admin.register(ProviderKey)
class ProviderKeyAdmin(Scoped, admin.ModelAdmin):  # type: ignore[type-arg]
    form = ProviderKeyForm
    list_display = ["provider", "ending", "workspace", "of", "created_by", "created_at"]
    list_filter = ["provider", ("workspace", ScopedFilter), ("user", admin.EmptyFieldListFilter)]
    list_select_related = ["workspace", "user", "created_by"]
    search_fields = ["provider", "workspace__name", "workspace__slug", "user__username"]
    autocomplete_fields = ["workspace", "user"]
    fields = ["workspace", "user", "provider", "new_secret", "ending", "created_by", "created_at"]
    readonly_fields = ["ending", "created_by", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderKey]:
        # Never loaded: a wrong master key must not lock the operator out of replacing the secret.
        return super().get_queryset(request).defer("secret")

    @admin.display(description="key")
    def ending(self, key: ProviderKey) -> str:
        return f"…{key.last_four}" if key.last_four else "–"

    @admin.display(description="of", empty_value="the workspace")
    def of(self, key: ProviderKey) -> str | None:
        return str(key.user) if key.user_id else None

    def save_model(self, request: HttpRequest, obj: ProviderKey, form: Any, change: bool) -> None:
        secret = form.cleaned_data["new_secret"]
        if secret:
            obj.secret, obj.last_four, obj.first_used_at = secret, last_four(secret), None
            obj.created_by = request.user if isinstance(request.user, User) else None
        super().save_model(request, obj, form, change)


@admin.register(AuditEvent)
class AuditEventAdmin(OperatorsOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """For operators: events of every workspace, and of none (a login that meant nobody). To be read only."""

    list_display = ["created_at", "action", "outcome", "who", "user_id", "target_type", "target_name", "ip"]
    list_filter = ["action", "outcome", "who"]
    search_fields = ["target_id", "target_name", "request_id", "ip", "agent_slug"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# Packages of others register these without knowing of workspaces.
admin.site.unregister([Group, EmailAddress])


@admin.register(Group)
class GroupsAdmin(OperatorsOnly, GroupAdmin):
    """Groups carry rights that hold everywhere."""


@admin.register(EmailAddress)
class AddressAdmin(OperatorsOnly, EmailAddressAdmin):  # type: ignore[misc]
    """A verified address opens an account: operators only."""
