"""The walls of the admin: staff see and touch the workspaces whose admin or owner they are, operators all.

An operator is a superuser. `Scoped` is for everything that belongs to a workspace: its lists, pages,
searches, actions, choices and autocomplete come from one query set. `OperatorsOnly` is for what
holds for the whole instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .audit.hearing import administered
from .models import Role, User, Workspace
from .two_step import has_second_step

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:
    _Base = object


def is_operator(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def staffed(request: HttpRequest) -> QuerySet[Workspace]:
    """The workspaces that this person may administer here."""
    if is_operator(request):
        return Workspace.objects.all()
    user = cast(User, request.user)
    mine = Workspace.objects.filter(
        deleted_at=None, memberships__user=user, memberships__role__in=[Role.ADMIN, Role.OWNER]
    )
    if not has_second_step(user):
        mine = mine.filter(require_two_step=False)
    return Workspace.objects.filter(pk__in=mine.values("pk"))


class Noted(_Base):
    """The audit hears of several rows deleted at once, for which Django's log sends no signal."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        entries = super().log_deletions(request, queryset)
        if len(entries) > 1:
            for entry in entries:
                administered(entry)
        return entries


class Scoped(Noted):
    """Of a model's admin, or an inline: only rows of workspaces that this person administers.

    `workspace_path` leads from a row to its workspace (or to the column with the workspace's id); a model
    without such a way overrides `scope`.
    """

    workspace_path = "workspace"

    def scope(self, rows: QuerySet[Any], mine: QuerySet[Workspace]) -> QuerySet[Any]:
        return rows.filter(**{f"{self.workspace_path}__in": mine.values("pk")})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows if is_operator(request) else self.scope(rows, staffed(request))

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> Any:
        """What a reference may be set to: what the other model's own admin shows this person."""
        rows = super().get_field_queryset(db, db_field, request)
        return rows if is_operator(request) else visible(self.admin_site, request, db_field, rows)


def visible(site: Any, request: HttpRequest, db_field: Any, rows: QuerySet[Any] | None) -> QuerySet[Any]:
    model = db_field.remote_field.model
    rows = model._default_manager.all() if rows is None else rows
    other = site._registry.get(model)
    return rows if other is None else rows.filter(pk__in=other.get_queryset(request).values("pk"))


class ScopedFilter(admin.RelatedOnlyFieldListFilter):
    """A list filter whose choices are what both the list and the other model's admin show."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found = super().field_choices(field, request, model_admin)
        if is_operator(request):
            return found
        mine = set(visible(model_admin.admin_site, request, field, None).values_list("pk", flat=True))
        return [(pk, name) for pk, name in found if pk in mine]


class ScopedValues(admin.AllValuesFieldListFilter):
    """A list filter over a column of another model: the values that the rows of the list have."""

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        rows = model_admin.get_queryset(request).order_by(field_path)
        self.lookup_choices = rows.values_list(field_path, flat=True).distinct()


class OperatorsOnly(Noted):
    """What holds for the whole instance: nothing of it is there for other staff."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows if is_operator(request) else rows.none()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_operator(request)
