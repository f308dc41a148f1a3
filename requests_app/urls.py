"""Addresses of the life cycle's pages. An id that isn't one matches nothing: the same 404 as an absent one."""

from __future__ import annotations

from django.urls import path

from requests_app.views import (
    access,
    approvals,
    emergencies,
    favourites,
    home,
    queue,
    requests,
    several,
    together,
)

urlpatterns = [
    path("", home.home, name="home"),
    path("live/", home.live, name="home_live"),
    path("access/", access.catalogue, name="catalogue"),
    path("access/request/", several.request_several, name="request_several"),
    path("access/<uuid:group_id>/", access.group, name="group"),
    path("access/<uuid:group_id>/request/", access.request_access, name="request_access"),
    path("access/<uuid:group_id>/request/preview/", access.preview, name="request_preview"),
    path("access/<uuid:group_id>/emergency/", emergencies.ask, name="emergency"),
    path("access/<uuid:group_id>/favourite/", favourites.favourite, name="favourite"),
    path("requests/", requests.mine, name="my_requests"),
    path("requests/<uuid:request_id>/", requests.page, name="request"),
    path("requests/<uuid:request_id>/live/", requests.live, name="request_live"),
    path("requests/<uuid:request_id>/repeat/", requests.repeat, name="repeat"),
    path("requests/<uuid:request_id>/thread/", requests.thread, name="thread"),
    path("requests/<uuid:request_id>/withdraw/", requests.withdraw, name="withdraw"),
    path("requests/<uuid:request_id>/end/", requests.end, name="end_early"),
    path("requests/<uuid:request_id>/sign-in/", requests.sign_in, name="request_sign_in"),
    path("requests/<uuid:request_id>/revoke/", requests.revoke, name="revoke"),
    path("emergencies/", emergencies.reviews, name="emergency_reviews"),
    path("emergencies/<uuid:review_id>/", emergencies.review, name="emergency_review"),
    path("emergencies/<uuid:review_id>/lift/", emergencies.lift, name="emergency_lift"),
    path("operations/emergencies/", emergencies.everything, name="operations_emergencies"),
    path("operations/queue/", queue.page, name="operations_queue"),
    path("operations/queue/live/", queue.live, name="operations_queue_live"),
    path("operations/queue/<int:ticket_id>/front/", queue.front, name="operations_queue_front"),
    path("approvals/", approvals.inbox, name="inbox"),
    path("approvals/<uuid:item_id>/", approvals.decision, name="decision"),
    path("approvals/<uuid:item_id>/attention/", approvals.attention, name="attend"),
    path("approvals/<uuid:item_id>/together/", together.together, name="together"),
    path("approvals/<uuid:item_id>/live/", approvals.live, name="decision_live"),
]
