"""All addresses: pages, the API under /api/v1/ and the same under /api/, the admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("api.urls")),
    path("api/", include("api.urls")),
    path("admin/export/", include("api.admin_export")),
    path("admin/", admin.site.urls),
    path("", include("api.root_urls")),
    path("", include("depth.urls")),
]

handler400 = "api.exceptions.bad_request"
handler404 = "api.exceptions.not_found"
handler500 = "api.exceptions.server_error"
