from django.apps import AppConfig


class DepthConfig(AppConfig):
    name = "depth"
