"""The web process: HTTP through Django; live sockets join here."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")
os.environ.setdefault("PLATFORM_PROCESS", "web")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

application = ProtocolTypeRouter({"http": get_asgi_application()})
