"""All addresses: pages, the API under /api/v1/ and the same under /api/, the admin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from tradingplatform import analysis_page, derivatives_page, dex_page
from tradingplatform.status_page import status

urlpatterns = [
    path("api/v1/", include("api.urls")),
    path("api/", include("api.urls")),
    path("admin/export/", include("api.admin_export")),
    path("admin/", admin.site.urls),
    path("", include("api.root_urls")),
    path("status/", status, name="status"),
    path("status", RedirectView.as_view(pattern_name="status", query_string=True)),
    path("alerts", RedirectView.as_view(pattern_name="alerts:alerts", query_string=True)),
    path("", include("alerts.views")),
    path("dex/", dex_page.page, name="dex"),
    path("dex/data", dex_page.data, name="dex-data"),
    path("dex", RedirectView.as_view(pattern_name="dex", query_string=True)),
    path("derivatives/", derivatives_page.page, name="derivatives"),
    path("derivatives/data", derivatives_page.data, name="derivatives-data"),
    path("derivatives", RedirectView.as_view(pattern_name="derivatives", query_string=True)),
    path("analysis/", analysis_page.page, name="analysis"),
    path("analysis/data", analysis_page.data, name="analysis-data"),
    path("analysis", RedirectView.as_view(pattern_name="analysis", query_string=True)),
    path("", include("depth.urls")),
]

handler400 = "api.exceptions.bad_request"
handler404 = "api.exceptions.not_found"
handler500 = "api.exceptions.server_error"
