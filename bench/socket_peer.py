"""The peer of `sockets`: the same states by a plain Channels consumer and a group for each symbol."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application


class BookConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add(f"book.{self.scope['path'].strip('/')}", self.channel_name)
        await self.accept()

    async def book(self, event):
        await self.send(event["text"])


application = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": BookConsumer.as_asgi()})
