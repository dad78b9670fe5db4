"""Signing in and out.  Of allauth's pages only these: nobody signs up, and no e-mail is ever sent."""

from allauth.account import views
from django.urls import path
from django.views.generic import TemplateView

forgotten = TemplateView.as_view(template_name="account/password_reset.html")
closed = TemplateView.as_view(template_name="account/signup_closed.html")

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/set/", views.password_set, name="account_set_password"),
    path("password/reset/", forgotten, name="account_reset_password"),
    path("signup/", closed, name="account_signup"),
]
