"""Addresses of pictures."""

from django.urls import path

from moderation import media

urlpatterns = [path("<str:token>/", media.media, name="media")]
