"""The collector in the admin: switched on and off here, its figures, events, metrics and storage as pages."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from redis import RedisError

from collector import audits, records, services, storage_page
from collector.models import BookAudit, RunState


@admin.register(RunState)
class CollectorAdmin(admin.ModelAdmin):
    """One row, so one page instead of a list; events and metrics stand beside it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RunState | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("start/", guard(require_POST(self.start)), name="collector_start"),
            path("stop/", guard(self.stop), name="collector_stop"),
            path("events/", guard(self.events), name="collector_events"),
            path("metrics/", guard(self.metrics), name="collector_metrics"),
            path("storage/", guard(self.storage), name="collector_storage"),
            path("", guard(self.changelist_view), name="collector_runstate_changelist"),
        ]

    def _page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        shared = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        return TemplateResponse(request, f"admin/collector/{template}.html", shared | context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        allowed = self.has_change_permission(request)
        return self._page(request, "collector", "Collector", may_switch=allowed, **records.overview())

    def events(self, request: HttpRequest) -> TemplateResponse:
        return self._page(request, "events", "Events", **records.events(request.GET))

    def metrics(self, request: HttpRequest) -> TemplateResponse:
        return self._page(request, "metrics", "Metrics", **records.metrics(request.GET))

    def storage(self, request: HttpRequest) -> TemplateResponse:
        return self._page(request, "storage", "Storage", **storage_page.storage(request.GET))

    def start(self, request: HttpRequest) -> HttpResponse:
        return self._switch(request, True)

    def stop(self, request: HttpRequest) -> HttpResponse:
        """Asks first (GET), then stops (POST)."""
        if request.method == "POST":
            return self._switch(request, False)
        return self._page(request, "confirm_stop", "Stop collecting?", may_switch=self.has_change_permission(request))

    def _switch(self, request: HttpRequest, on: bool) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        who = request.user.get_username()
        if on:
            services.start(who)
            messages.success(request, "Collection is on; the next minute is read.")
        else:
            services.stop(who)
            messages.warning(request, "Collection is off; it stays off until somebody starts it again.")
        return HttpResponseRedirect(reverse("admin:collector_runstate_changelist"))


@admin.register(BookAudit)
class BookAuditAdmin(admin.ModelAdmin):
    """What came of comparing live books with the exchange's, and the way to ask for more."""

    list_display = ("time", "symbol", "market_type", "cause", "equal_share", "compared", "unsettled", "sequence")
    list_filter = ("market_type", "cause", "time")
    search_fields = ("symbol",)
    list_per_page = 100
    actions = ("compare_again",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: BookAudit | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: BookAudit | None = None) -> bool:
        return False

    @admin.display(description="equal")
    def equal_share(self, row: BookAudit) -> str:
        return "–" if row.share is None else f"{row.share:.4g} %"

    def has_compare_permission(self, request: HttpRequest) -> bool:
        """It spends requests to the exchange: for those who may start and stop collection."""
        return bool(request.user.has_perm("collector.change_runstate"))

    @admin.action(description="Compare these books again now", permissions=["compare"])
    def compare_again(self, request: HttpRequest, rows: QuerySet[BookAudit]) -> None:
        try:
            asked = audits.ask_for(set(rows.values_list("market_type", "symbol")))
        except RedisError as error:
            messages.error(request, f"The feed cannot be asked: Redis is away ({error}).")
        else:
            messages.success(request, f"{asked} books are compared as soon as the request budget has room.")
