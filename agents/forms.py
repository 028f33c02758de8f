"""The admin's forms: an agent's lists as checkboxes and lines, an endpoint's as lines."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, get_args
from urllib.parse import urlsplit

from django import forms
from django.conf import settings

from agents import toolbox
from agents.building import MODEL_KIND, class_agents
from agents.errors import AgentInvalid
from agents.models import Agent, NewsFeed, ProviderEndpoint
from agents.providers import all_specs
from agents.validation import check_agent
from nexus_core.addresses import AddressGuard
from nexus_core.providers.base import Wire
from nexus_core.providers.table import BY_NAME

_ADDRESS_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*(URL|HOST|ENDPOINT)$")
OUR_ADDRESSES = frozenset({"DATABASE_URL", "REDIS_URL", "EMAIL_URL", "HOST", "OTEL_EXPORTER_OTLP_ENDPOINT"})
_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*(KEY|TOKEN)$")
OUR_SECRETS = frozenset({"SECRET_KEY"})
"""Named as the key of a provider they would be sent to it."""


class Lines(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 60})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        return [line.strip() for line in text.splitlines() if line.strip()]


class Choices(Lines):
    """Models in order, one a line: `provider/model`."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            return "\n".join(f"{one.get('provider')}/{one.get('model')}" for one in value)
        return value

    def to_python(self, value: Any) -> Any:
        chosen = []
        for line in super().to_python(value):
            provider, slash, model = line.partition("/")
            if not slash or not provider.strip() or not model.strip():
                raise forms.ValidationError(f"Write provider/model, not “{line}”.")
            chosen.append({"provider": provider.strip(), "model": model.strip()})
        return chosen


class Pairs(Lines):
    """A mapping, one `name: value` a line."""

    def prepare_value(self, value: Any) -> Any:
        return (
            "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else value
        )

    def to_python(self, value: Any) -> Any:
        pairs = {}
        for line in super().to_python(value):
            name, colon, text = line.partition(":")
            if not colon or not name.strip():
                raise forms.ValidationError(f"Write name: value, not “{line}”.")
            pairs[name.strip()] = text.strip()
        return pairs


class ToolBoxes(forms.MultipleChoiceField):
    """Tools as checkboxes. One that is no longer installed stays in sight until it is unchecked."""

    widget = forms.CheckboxSelectMultiple

    def fill(self, current: list[str]) -> None:
        installed = [
            (tool.name, f"{tool.name}: {_first_line(tool.description)}") for tool in toolbox.for_model()
        ]
        known = {name for name, _ in installed}
        gone = [(name, f"{name}: not installed any more") for name in current if name not in known]
        self.choices = [*installed, *gone]


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]
    kind = forms.ChoiceField(help_text="“model” needs no code; the others are agents implemented as classes.")
    provider = forms.ChoiceField()
    tools = ToolBoxes(required=False)
    tool_approval = ToolBoxes(required=False, help_text="These wait until a person allows the call.")
    fallback = Choices(
        required=False, help_text="One a line, tried in order when the first fails: provider/model."
    )
    starters = Lines(required=False, help_text="One a line; offered before the first message.")

    class Meta:
        model = Agent
        fields = "__all__"  # noqa: DJ007  (an operator's form; what is fixed is read only in the admin)
        widgets = {
            "system_prompt": forms.Textarea(attrs={"rows": 12, "cols": 100, "class": "vLargeTextField"}),
            "description": forms.TextInput(attrs={"size": 80}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        specs = sorted(all_specs().values(), key=lambda spec: spec.label.lower())
        providers = [
            (spec.name, f"{spec.label} ({spec.note})" if spec.note else spec.label) for spec in specs
        ]
        current = self.instance.provider
        if current and current not in {name for name, _ in providers}:
            providers.append((current, f"{current} (switched off or unknown)"))
        self.fields["provider"].choices = providers  # type: ignore[attr-defined]
        kinds = [MODEL_KIND, *(agent.id for agent in class_agents())]
        self.fields["kind"].choices = [(kind, kind) for kind in kinds]  # type: ignore[attr-defined]
        self.fields["tools"].fill(self.instance.tools)  # type: ignore[attr-defined]
        self.fields["tool_approval"].fill(self.instance.tool_approval)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "approval_rules" in cleaned:
            cleaned["approval_rules"] = cleaned["approval_rules"] or []
        try:
            check_agent({name: cleaned[name] for name in cleaned if name in _CHECKED})
        except AgentInvalid as wrong:
            for name, text in wrong.fields.items():
                self.add_error(name if name in self.fields else None, text)
        return cleaned


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    wire = forms.ChoiceField(choices=[(wire, wire) for wire in get_args(Wire)])
    key_vars = Lines(required=False, help_text="Environment variables that may hold the key, one a line.")
    headers = Pairs(
        required=False, help_text="One “name: value” a line, sent with every request. No keys here."
    )

    class Meta:
        model = ProviderEndpoint
        fields = [
            "name",
            "label",
            "wire",
            "base_url",
            "base_url_var",
            "key_vars",
            "headers",
            "price_id",
            "free",
            "sends_cache_key",
            "note",
            "is_enabled",
        ]

    def clean_base_url(self) -> str:
        url: str = self.cleaned_data["base_url"].strip()
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise forms.ValidationError("An address that begins with https:// or http://.")
        shipped = BY_NAME.get(self.cleaned_data.get("name") or self.instance.name)
        if url and (shipped is None or url != shipped.base_url) and not _may_lead_to(str(parts.hostname)):
            raise forms.ValidationError(
                f"{parts.hostname} is an address of a private network. Name its network in "
                "NEXUS_PROVIDER_NETWORKS (for example 192.168.1.0/24) to allow it, or set the address by the "
                "provider's variable in the environment."
            )
        return url

    def clean_base_url_var(self) -> str:
        name: str = self.cleaned_data["base_url_var"].strip()
        if name and (not _ADDRESS_VARIABLE.match(name) or name in OUR_ADDRESSES):
            raise forms.ValidationError(
                f"{name} is no provider's address: write a name such as ACME_BASE_URL."
            )
        return name

    def clean_key_vars(self) -> list[str]:
        names: list[str] = self.cleaned_data["key_vars"]
        for name in names:
            if not _VARIABLE.match(name) or name in OUR_SECRETS:
                raise forms.ValidationError(
                    f"{name} is no provider's key: write a name such as ACME_API_KEY."
                )
        return names


class FeedForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = NewsFeed
        fields = ["title", "url", "category", "is_active"]
        widgets = {"url": forms.URLInput(attrs={"size": 80})}


_CHECKED = frozenset(
    {
        "name",
        "model",
        "provider",
        "fallback",
        "tools",
        "tool_approval",
        "approval_role",
        "approval_quorum",
        "approval_expiry",
        "approval_rules",
        "starters",
        "temperature",
        "max_tokens",
        "reasoning",
        "tool_call_timeout",
        "max_consecutive_tool_calls",
        "rag_top_k",
    }
)


def _may_lead_to(host: str) -> bool:
    """A first look: where the address is written out. A name is looked at when it is connected to."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost" or AddressGuard(tuple(settings.NEXUS_PROVIDER_NETWORKS)).allows(
            "127.0.0.1"
        )
    return AddressGuard(tuple(settings.NEXUS_PROVIDER_NETWORKS)).allows(host)


def _first_line(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 120 else line[:117] + "…"
