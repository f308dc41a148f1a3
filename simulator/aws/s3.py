"""S3, answered by moto's own back end: buckets with versions and Object Lock, which keeps what is locked from everybody.

The only service here that is moto's and not the world's: objects have no part in what happens in the two clouds. So its
buckets are the process's, and outlive a world. Buckets are named in the path; real time is its clock.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from moto.core.request import Request
from moto.s3.responses import S3Response

SERVICE = "s3"
# Headers that the server in front says itself.
_SERVER = frozenset({"status", "content-length", "date", "server", "connection"})
# What a bucket is asked for beside its objects, by the parameter that says so.
_OF_BUCKET = {"object-lock": "BucketObjectLockConfiguration", "versions": "BucketVersions"}


def action_of(environ: Mapping[str, Any]) -> str:
    """The IAM action that a request needs, as far as the portal's roles do."""
    method = str(environ["REQUEST_METHOD"])
    if _is_object(environ):
        return {"PUT": "s3:PutObject", "GET": "s3:GetObject"}.get(method, f"s3:{method.capitalize()}Object")
    asked = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
    for name, what in _OF_BUCKET.items():
        if method == "GET" and name in asked:
            return f"s3:{'List' if name == 'versions' else 'Get'}{what}"
    return f"s3:{'List' if method == 'GET' else method.capitalize()}Bucket"


def answer(environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    request = Request(environ)
    request.from_wsgi_server = True  # so that moto reads the body where the server left it
    response = S3Response()
    respond = response.key_response if _is_object(environ) else response.bucket_response
    given = respond(request, request.url, dict(request.headers))
    status, headers, body = given if isinstance(given, tuple) else (HTTPStatus.OK, {}, given)
    kept = {name: str(value) for name, value in headers.items() if name.lower() not in _SERVER}
    return int(status), kept, body.encode() if isinstance(body, str) else bytes(body or b"")


def refusal(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """An error in S3's form."""
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, {"Content-Type": "application/xml"}, body.encode()


def _is_object(environ: Mapping[str, Any]) -> bool:
    return bool(str(environ.get("PATH_INFO", "")).strip("/").partition("/")[2])
