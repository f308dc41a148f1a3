"""The web process: no cloud SDK in its memory, no cloud credential in its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from audit.ledger.models import Event
from tests.support.servers import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
CLOUD = ("boto3", "botocore", "s3transfer", "msgraph", "msgraph_core", "kiota", "azure", "msal", "moto")

# Everything that the web process imports: the application, every address's view, every template, and the
# tasks that pages ring for.
PROBE = """
import json, os, sys
import accessportal.wsgi
from celery import current_app
from django.conf import settings
from django.template import engines
from django.urls import get_resolver

def views(resolver, seen):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            views(pattern, seen)
        else:
            seen.append(pattern.callback.__module__)
    return seen

seen = views(get_resolver(), [])
root = settings.BASE_DIR / "templates"
for template in sorted(root.rglob("*.html")):
    engines["django"].get_template(str(template.relative_to(root)))
from accessportal.celery import app
app.loader.import_default_modules()
from django.test import Client
answers = [Client().get("/healthz").status_code, Client().get("/signin/?here=1").status_code]
print(json.dumps({
    "modules": sorted(sys.modules), "views": sorted(set(seen)), "environ": sorted(os.environ),
    "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")), "answers": answers,
}))
"""


def probe(server: PostgresServer, database: str) -> dict[str, Any]:
    environ = server.environment("web", database) | {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": "k" * 50,
        "ALLOWED_HOSTS": "testserver,localhost",
        "PORTAL_ORIGIN": "http://localhost",
        "ENTRA_TENANT_ID": "11111111-2222-4333-8444-555555555555",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def cloud_modules(modules: list[str]) -> list[str]:
    tops = {module.partition(".")[0] for module in modules}
    adapters = [module for module in modules if module.startswith(("clients.entra.", "clients.aws."))]
    return sorted(top for top in tops if top.startswith(CLOUD)) + adapters


def test_the_web_process_knows_no_cloud(postgres_server: PostgresServer, committed_db: str) -> None:
    result = probe(postgres_server, committed_db)
    assert result["answers"] == [200, 200]
    assert {"identity.signin.views", "requests_app.views.requests"} <= set(result["views"])
    assert "requests_app.tasks.sweep" in result["tasks"]
    assert cloud_modules(result["modules"]) == []
    assert [name for name in result["environ"] if name.startswith(("AWS_", "AZURE_", "ENTRA_WORKER_"))] == []
    # Its start is in the trail, with what it was set to.
    told = Event.objects.get(type="settings.recorded").data["fields"]
    assert told["process"] == "web"
    assert told["settings"]["PORTAL_ORIGIN"] == "http://localhost"
    assert "kkk" not in str(told)


def test_the_probe_would_see_a_cloud() -> None:
    assert cloud_modules(["boto3.session", "clients.aws.adapter", "kiota_http", "json"]) == [
        "boto3",
        "kiota_http",
        "clients.aws.adapter",
    ]
