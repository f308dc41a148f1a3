"""Addresses of the pages about messages."""

from __future__ import annotations

from django.urls import path

from notifications.views import demo_mail, operations, preferences

urlpatterns = [
    path("preferences/", preferences.page, name="preferences"),
    path("operations/notifications/", operations.page, name="operations_notifications"),
    path("operations/notifications/html/", operations.html, name="operations_notification_html"),
    path("demo/mail/", demo_mail.page, name="demo_mail"),
    path("demo/mail/<int:mail_id>/", demo_mail.mail, name="demo_mail_one"),
    path("demo/mail/<int:mail_id>/html/", demo_mail.html, name="demo_mail_html"),
]
