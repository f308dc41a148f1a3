"""A Django site of a few lines with django-allauth's openid_connect provider; run as a process of its own.

Signs one person in through the simulated Entra and prints what allauth made of it.
"""

import json
import os

import django
import httpx
from django.conf import settings
from django.core.management import call_command


def configure() -> None:
    """Settings with an in-memory database."""
    settings.configure(
        SECRET_KEY="a site of a few lines",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="allauth.urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.socialaccount",
            "allauth.socialaccount.providers.openid_connect",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        SOCIALACCOUNT_PROVIDERS={
            "openid_connect": {
                "OAUTH_PKCE_ENABLED": True,
                "APPS": [
                    {
                        "provider_id": "entra",
                        "name": "Entra",
                        "client_id": os.environ["SITE_CLIENT_ID"],
                        "secret": os.environ["SITE_CLIENT_SECRET"],
                        "settings": {
                            "server_url": os.environ["SITE_SERVER_URL"],
                            "fetch_userinfo": False,
                            "uid_field": "oid",
                        },
                    }
                ],
            }
        },
        LOGIN_REDIRECT_URL="/",
        ACCOUNT_EMAIL_VERIFICATION="none",
    )


def main() -> None:
    """Sign in and print the outcome as one JSON line."""
    from allauth.socialaccount.models import SocialAccount
    from django.test import Client

    call_command("migrate", verbosity=0)
    site = Client(headers={"host": "127.0.0.1:8000"})
    start = site.post("/oidc/entra/login/")
    target = start.headers["Location"]
    back = httpx.post(target, data={"account": os.environ["SITE_PERSON"]})
    if back.status_code != 302:
        raise SystemExit(back.text)
    site.get(back.headers["location"].removeprefix("http://127.0.0.1:8000"))
    account = SocialAccount.objects.get()
    print(
        json.dumps(
            {
                "challenge": httpx.URL(target).params.get("code_challenge_method"),
                "signed_in": "_auth_user_id" in site.session,
                "uid": account.uid,
                "tid": account.extra_data["id_token"]["tid"],
            }
        )
    )


if __name__ == "__main__":
    configure()
    django.setup()
    main()
