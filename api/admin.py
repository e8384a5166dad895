"""API keys in the admin: made here and shown once, revoked here, never changed."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from api import keys
from api.models import ApiKey, Scope


class KeyForm(forms.ModelForm):
    """What is decided when a key is made."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="What the key may do besides reading. Give no more than the program needs.",
    )

    expires_at = forms.DateTimeField(
        label="Expires, UTC",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Empty: never.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "expires_at")
        help_texts = {"name": "Who or what will use it; shown in lists and logs."}


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    form = KeyForm
    list_display = ("name", "prefix", "allowed", "condition", "created_at", "expires_at", "last_used_at")
    list_filter = ("revoked", "expires_at")
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # a revoked key stays, so that its name and last use are known

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Sequence[str]:
        made = ("name", "scopes", "expires_at")
        return (*made, "prefix", "created_at", "last_used_at", "revoked") if obj else made

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Sequence[str]:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        row, key = keys.issue(obj.name, form.cleaned_data["scopes"], obj.expires_at)
        obj.pk, obj.prefix = row.pk, row.prefix
        request.issued_key = key

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the key, the only time."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"The key of {obj.name}",
            "opts": self.opts,
            "key": request.issued_key,
        }
        response = TemplateResponse(request, "admin/api/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.display(description="scopes")
    def allowed(self, row: ApiKey) -> str:
        return ", ".join(row.scopes) or "reading only"

    @admin.display(description="state")
    def condition(self, row: ApiKey) -> SafeString:
        expired = row.expires_at is not None and row.expires_at <= timezone.now()
        tone, word = ("wrong", "revoked") if row.revoked else ("careful", "expired") if expired else ("good", "valid")
        return format_html('<span class="{}">{}</span>', tone, word)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> TemplateResponse | None:
        if request.POST.get("confirmed") == "yes":
            count = queryset.filter(revoked=False).update(revoked=True)
            messages.success(request, f"{count} keys revoked; programs that use them are refused from now on.")
            return None
        context = {**self.admin_site.each_context(request), "title": "Revoke these keys?", "opts": self.opts}
        return TemplateResponse(request, "admin/api/apikey/confirm_revoke.html", context | {"rows": queryset})
