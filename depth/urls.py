"""Addresses of the depth pages."""

from django.urls import path
from django.views.generic import RedirectView

from depth import views
from depth.overview_view import home

app_name = "depth"
urlpatterns = [
    path("", home, name="home"),
    path("dashboard", RedirectView.as_view(pattern_name="depth:home", query_string=True)),
    path("dashboard/", RedirectView.as_view(pattern_name="depth:home", query_string=True)),
    path("charts", RedirectView.as_view(pattern_name="depth:charts", query_string=True)),
    path("charts/", views.charts, name="charts"),
    path("charts/data", views.chart_data, name="chart-data"),
]
