"""What templates show of logins: fields in the product's look, and how safe somebody's account is."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django import template
from django.conf import settings
from django.db.models import Count, Q
from django.forms import BoundField, CheckboxInput

register = template.Library()

LABELS = {
    "Email": "E-mail",
    "Password (again)": "Password again",
    "New Password (again)": "New password again",
    "Passwordless": "Log in with it alone, without a password",
}


@register.inclusion_tag("account/_field.html")
def door_field(field: BoundField, focus: bool = False) -> dict[str, Any]:
    """One field of a form: label, input, help, what is wrong with it."""
    widget = field.field.widget
    widget.attrs.pop("placeholder", None)
    check = isinstance(widget, CheckboxInput)
    attrs: dict[str, Any] = {"class": "checkbox checkbox-sm" if check else "in"}
    if field.errors:
        attrs |= {"aria-invalid": "true", "aria-describedby": f"{field.id_for_label}_error"}
    if focus:
        attrs["autofocus"] = True
    label = LABELS.get(str(field.label), str(field.label).capitalize())
    return {"field": field, "check": check, "label": label, "input": field.as_widget(attrs=attrs)}


@register.simple_tag(takes_context=True)
def signup_open(context: dict[str, Any]) -> bool:
    """Whether this visitor may make an account."""
    request = context["request"]
    return bool(get_adapter(request).is_open_for_signup(request))


@register.simple_tag
def security_of(user: Any) -> dict[str, Any]:
    """`two_step`, `passkeys`, `has_password`, `outside` (accounts elsewhere that lead in), `can_connect`."""
    mine = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    counts = mine.aggregate(
        app=Count("pk", filter=Q(type=Authenticator.Type.TOTP)),
        passkeys=Count("pk", filter=Q(type=Authenticator.Type.WEBAUTHN)),
    )
    can_connect = bool(settings.SOCIALACCOUNT_PROVIDERS)
    return {
        "two_step": bool(counts["app"] or counts["passkeys"]),
        "app": bool(counts["app"]),
        "passkeys": counts["passkeys"],
        "has_password": user.has_usable_password(),
        "can_connect": can_connect,
        "outside": SocialAccount.objects.filter(user=user).count() if can_connect else 0,
    }


BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@register.filter
def browser(user_agent: str) -> str:
    """`Firefox on Linux`, as far as its header tells."""
    name = next((name for word, name in BROWSERS if word in user_agent), "")
    system = next((name for word, name in SYSTEMS if word in user_agent), "")
    return " on ".join(part for part in (name, system) if part) or user_agent[:40] or "A program"
