"""The web process: HTTP through Django, and live sockets."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")
os.environ.setdefault("PLATFORM_PROCESS", "web")

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets Django up, which the sockets need

from api.quick import Quick  # noqa: E402
from tradingplatform.routing import sockets  # noqa: E402
from tradingplatform.warm import warm  # noqa: E402

warm()

application = ProtocolTypeRouter({"http": Quick(http), "websocket": sockets})
