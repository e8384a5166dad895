"""Addresses outside of /api/ that answer as the API does."""

from django.urls import path, re_path

from api.urls import orders
from api.views.base import UnknownAddress
from api.views.books import OrderBookView
from api.views.candles import CandlesView, PriceView
from api.views.health import HealthView
from api.views.metrics import MetricsView
from api.views.symbols import SymbolsView

urlpatterns = [
    path("metrics", MetricsView.as_view()),
    path("metrics/", MetricsView.as_view()),
    path("health", HealthView.as_view()),
    path("symbols", SymbolsView.as_view()),
    path("orderbook", OrderBookView.as_view()),
    path("candles", CandlesView.as_view()),
    path("price", PriceView.as_view()),
    *orders,
    re_path(r"^api(/v1)?$", UnknownAddress.as_view()),
]
