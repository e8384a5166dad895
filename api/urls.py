"""The API's addresses, each with and without a slash at its end: nothing is redirected, so no body is lost."""

from django.urls import include, path, re_path

from api.views.alerts import AlertsView, RulesView, RuleView
from api.views.analytics import HistoryView, StatsView
from api.views.base import UnknownAddress
from api.views.books import BookView, DepthView, OrderBookView
from api.views.candles import CandlesView, ChartDataView, PriceView
from api.views.collector import CollectorSymbolsView, CollectorView
from api.views.derivatives import (
    FundingView,
    LiquidationsView,
    MarkPricesView,
    OpenInterestView,
    SummaryView,
    TradesView,
)
from api.views.documentation import DocsView, SchemaView
from api.views.export import ExportView
from api.views.health import HealthView
from api.views.orders import OrderEventsView, OrdersView, OrderView, StatisticsView, UserOrdersView
from api.views.overview import OverviewView
from api.views.snapshots import SnapshotsView
from api.views.status import StatusView
from api.views.symbols import SymbolsView
from api.views.technical import AnalysisView, IndicatorsView
from dex.events import Status
from markets.models import Market

orders = [
    path("orders/pending", OrdersView.as_view(status=Status.PENDING)),
    path("orders/executed", OrdersView.as_view(status=Status.EXECUTED)),
    path("orders/cancelled", OrdersView.as_view(status=Status.CANCELLED)),
    path("orders/<str:order_id>", OrderView.as_view()),
    path("orders/<str:order_id>/events", OrderEventsView.as_view()),
    path("users/<str:address>/orders", UserOrdersView.as_view()),
    path("statistics", StatisticsView.as_view()),
]
resources = [
    *orders,
    path("health", HealthView.as_view()),
    path("symbols", SymbolsView.as_view()),
    path("binance/spot", BookView.as_view(market=Market.SPOT)),
    path("binance/futures", BookView.as_view(market=Market.FUTURES)),
    path("binance/depth", DepthView.as_view()),
    path("orderbook", OrderBookView.as_view()),
    path("candles", CandlesView.as_view()),
    path("price", PriceView.as_view()),
    path("indicators", IndicatorsView.as_view()),
    path("analysis", AnalysisView.as_view()),
    path("chart-data", ChartDataView.as_view()),
    path("export", ExportView.as_view()),
    path("overview", OverviewView.as_view()),
    path("snapshots", SnapshotsView.as_view()),
    path("status", StatusView.as_view()),
    path("collector", CollectorView.as_view()),
    path("collector/symbols", CollectorSymbolsView.as_view()),
    path("analytics/history", HistoryView.as_view()),
    path("analytics/stats", StatsView.as_view()),
    path("trades", TradesView.as_view()),
    path("mark-prices", MarkPricesView.as_view()),
    path("liquidations", LiquidationsView.as_view()),
    path("open-interest", OpenInterestView.as_view()),
    path("funding", FundingView.as_view()),
    path("derivatives/summary", SummaryView.as_view()),
    path("alerts", AlertsView.as_view()),
    path("alerts/rules", RulesView.as_view()),
    path("alerts/rules/<int:pk>", RuleView.as_view()),
    path("schema", SchemaView.as_view()),
    path("docs", DocsView.as_view()),
]
described = [path("api/v1/", include(resources))]
urlpatterns = [
    *resources,
    *(path(f"{resource.pattern}/", resource.callback) for resource in resources),
    re_path("", UnknownAddress.as_view()),
]
