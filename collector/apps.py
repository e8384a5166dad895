from importlib import import_module

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    name = "collector"

    def ready(self) -> None:
        import_module("collector.celery_signals")  # connects itself to Celery
