"""A Django application of one file, with a blocking hub that is used while it is loaded, before workers are forked."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from tests.sync.hubs import hub

blocking = hub()
MASTERS = blocking.call_tool("s.about").structured


def about(request: HttpRequest) -> JsonResponse:
    """Tell which processes answered: the worker, its server, and the server that the master uses."""
    mine = blocking.call_tool("s.about").structured
    assert mine is not None
    assert MASTERS is not None
    return JsonResponse({"worker": os.getpid(), "server": mine["pid"], "master": MASTERS["pid"]})


def echo(request: HttpRequest, words: str) -> JsonResponse:
    """Give words back, by way of the server."""
    return JsonResponse({"text": blocking.call_tool("s.echo", {"message": words}).text})


urlpatterns = [path("about", about), path("echo/<words>", echo)]

# This module is its own settings.
ROOT_URLCONF = __name__
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "none"
os.environ["DJANGO_SETTINGS_MODULE"] = __name__
application = get_wsgi_application()
