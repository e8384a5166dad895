"""Shapes of answers that many resources share; they describe, the views build the answers themselves."""

from rest_framework import serializers


class Error(serializers.Serializer):
    """What every error looks like."""

    success = serializers.BooleanField(help_text="false")
    error = serializers.CharField(help_text="A sentence for people.")
    code = serializers.CharField(help_text="A word for programs, in snake_case.")
    field = serializers.CharField(allow_null=True, help_text="The parameter to blame.")
    requestId = serializers.CharField(help_text="The same as in the header X-Request-ID.")
    timestamp = serializers.IntegerField(help_text="Epoch milliseconds.")


class Answer(serializers.Serializer):
    success = serializers.BooleanField(help_text="true")


class Message(Answer):
    message = serializers.CharField()
