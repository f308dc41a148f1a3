"""Addresses of access reviews: those of reviewers, and those of operators and auditors."""

from __future__ import annotations

from django.urls import path

from reviews import views

_CAMPAIGN = "operations/reviews/<uuid:campaign_id>/"

urlpatterns = [
    path("reviews/", views.mine, name="reviews"),
    path("reviews/<uuid:campaign_id>/", views.review, name="review"),
    path("operations/reviews/", views.campaigns, name="operations_reviews"),
    path("operations/reviews/new/", views.start, name="operations_review_start"),
    path(_CAMPAIGN, views.campaign, name="operations_review"),
    path(f"{_CAMPAIGN}groups/<uuid:group_id>/", views.reviewers, name="operations_reviewers"),
    path(f"{_CAMPAIGN}close/", views.close, name="operations_review_close"),
    path(f"{_CAMPAIGN}removals/", views.export_removals, name="operations_review_removals"),
]
