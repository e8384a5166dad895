from importlib import import_module

from django.apps import AppConfig


class TradingPlatformConfig(AppConfig):
    name = "tradingplatform"

    def ready(self) -> None:
        import_module("tradingplatform.celery")  # the application that every `delay` finds
