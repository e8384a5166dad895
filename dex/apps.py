from django.apps import AppConfig


class DexConfig(AppConfig):
    name = "dex"
