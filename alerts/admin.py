"""Alerts in the admin: what is watched and whom it is told, what was seen, and what did not arrive."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.models import Delivery, Firing, Rule
from alerts.rules import MEANINGS, Kind
from alerts.services import retry

TONES = {Delivery.State.DELIVERED: "good", Delivery.State.PENDING: "careful", Delivery.State.DEAD: "wrong"}


class RuleForm(forms.ModelForm):
    """Kinds are listed with their unit; the secret is written, never shown."""

    kind = forms.ChoiceField(
        choices=[(kind.value, f"{meaning.title} ({meaning.unit})") for kind, meaning in MEANINGS.items()],
        help_text="The unit in brackets is that of the threshold.",
    )
    webhook_secret = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Signs the webhook's body. Not shown again; empty: it stays as it is.",
    )

    class Meta:
        model = Rule
        exclude = ("created_at", "changed_at")

    def clean_webhook_secret(self) -> str:
        return self.cleaned_data["webhook_secret"] or self.instance.webhook_secret


@admin.register(Rule)
class RuleAdmin(admin.ModelAdmin):
    form = RuleForm
    list_display = ("name", "watches", "limit", "where", "told", "enabled", "last_alert")
    list_filter = ("enabled", "kind", "market")
    search_fields = ("name", "symbol")
    actions = ("enable", "disable")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "kind", "direction", "threshold", "hysteresis", "cooldown_minutes")}),
        ("Of what", {"fields": ("symbol", "market", "band", "window_minutes", "side")}),
        ("Tell", {"fields": ("to_page", "to_log", "email", "webhook_url", "webhook_secret")}),
    )

    @admin.display(description="watches", ordering="kind")
    def watches(self, row: Rule) -> str:
        return MEANINGS[Kind(row.kind)].title

    @admin.display(description="fires")
    def limit(self, row: Rule) -> str:
        sign = {"above": "above", "below": "below", "either": "beyond ±"}[row.direction]
        return f"{sign} {row.threshold:g} {MEANINGS[Kind(row.kind)].unit}".replace("± ", "±")

    @admin.display(description="of")
    def where(self, row: Rule) -> str:
        if not MEANINGS[Kind(row.kind)].symbols:
            return "the system"
        parts = [row.symbol or "every collected symbol", row.market, f"{row.band.normalize():f} %" if row.band else ""]
        parts += [f"over {row.window_minutes} min" if row.window_minutes else "", row.side]
        return " ".join(filter(None, parts))

    @admin.display(description="told to")
    def told(self, row: Rule) -> str:
        used = {"page": row.to_page, "log": row.to_log, "email": row.email, "webhook": row.webhook_url}
        return ", ".join(name for name, value in used.items() if value) or "nobody"

    @admin.display(description="last alert, UTC")
    def last_alert(self, row: Rule) -> Any:
        newest = row.firings.first()
        return newest.fired_at if newest else None

    @admin.action(description="Watch the selected rules", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        messages.success(request, f"{queryset.update(enabled=True)} rules are watched.")

    @admin.action(description="Stop watching the selected rules", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        messages.warning(request, f"{queryset.update(enabled=False)} rules are watched no longer.")


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class DeliveryInline(admin.TabularInline):
    model = Delivery
    fields = ("channel", "target", "state", "attempts", "done_at", "error")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Firing)
class FiringAdmin(ReadOnly):
    list_display = ("fired_at", "message", "rule_name", "symbol", "market", "resolved_at")
    list_filter = ("kind", "market", "fired_at")
    search_fields = ("symbol", "subject", "rule_name", "message")
    date_hierarchy = "fired_at"
    exclude = ("details",)
    readonly_fields = ("facts",)
    inlines = (DeliveryInline,)

    @admin.display(description="details")
    def facts(self, row: Firing) -> str:
        return ", ".join(f"{name}: {value}" for name, value in row.details.items()) or "-"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ("firing", "channel", "target", "condition", "attempts", "next_at", "error")
    list_filter = ("state", "channel")
    search_fields = ("target", "error", "firing__message")
    list_select_related = ("firing",)
    actions = ("send_again",)

    @admin.display(description="state", ordering="state")
    def condition(self, row: Delivery) -> SafeString:
        return format_html('<span class="{}">{}</span>', TONES[Delivery.State(row.state)], row.get_state_display())

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_rule")

    @admin.action(description="Send what was given up again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        messages.success(request, f"{retry(queryset, timezone.now())} deliveries are on their way again.")
