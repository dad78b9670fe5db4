"""Addresses of the reviewers' pages."""

from django.urls import path

from reviews import media, views

urlpatterns = [
    path("", views.overview, name="review"),
    path("queues/", views.overview, name="review-queues"),
    path("next", views.next_item, name="review-next"),
    path("undo", views.undo, name="review-undo"),
    path("media/<str:token>/", media.media, name="review-media"),
    path("<int:pk>/", views.item, name="review-item"),
    path("<int:pk>/picture/<str:variant>/", views.picture, name="review-picture"),
    path("<int:pk>/renew", views.renew, name="review-renew"),
    path("<int:pk>/skip", views.skip, name="review-skip"),
    path("<int:pk>/leave", views.leave, name="review-leave"),
]
