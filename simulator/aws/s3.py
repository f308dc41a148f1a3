"""S3, answered from the world: the calls that somebody makes who keeps objects in a bucket, by botocore's model.

Buckets are named in the path. moto reads a request and writes the answer by the model; what a request asks beyond what
is done here (an ACL, a tag, a range) is refused with NotImplemented, never passed over.
"""

import base64
import hashlib
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel
from moto.core.parse import RestXMLParser
from moto.core.request import Request
from moto.core.serialize import S3Serializer
from moto.core.utils import get_service_model

from simulator.aws.roles import Role
from simulator.aws.shapes import is_known_error, problems
from simulator.world.aws_state import ObjectVersion
from simulator.world.errors import WorldError
from simulator.world.objects import NO_VERSION
from simulator.world.world import World

SERVICE = "s3"
MOST_KEYS = 1000
REQUEST_ID = "x-amz-request-id"
# Refusals of S3's list of error responses that an operation's model doesn't name.
ERRORS = frozenset(
    {
        "AccessDenied",
        "BadDigest",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidArgument",
        "InvalidRequest",
        "MalformedXML",
        "MethodNotAllowed",
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchVersion",
        "NotImplemented",
        "ObjectLockConfigurationNotFoundError",
        "SlowDown",
    }
)
_DESCRIBING = ("ContentType", "ContentEncoding")
_LOCK = ("ObjectLockMode", "ObjectLockRetainUntilDate")
_CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "ChecksumSHA256": lambda body: hashlib.sha256(body).digest(),
    "ChecksumCRC32": lambda body: zlib.crc32(body).to_bytes(4),
}
_UNREADABLE = (BotoCoreError, ValueError, TypeError, KeyError)


class DefectError(Exception):
    """The simulator's own answer is wrong."""


@dataclass(frozen=True)
class Asked:
    """A request as S3 reads it."""

    operation: str
    params: dict[str, Any]
    world: World
    role: Role

    @property
    def where(self) -> tuple[str, str]:
        """Bucket and key."""
        return self.params["Bucket"], self.params["Key"]


type Answered = tuple[int, dict[str, str], bytes]


# ---------------------------------------------------------------- operations


def _make_bucket(asked: Asked) -> dict[str, Any]:
    name, region = asked.params["Bucket"], asked.params.get("CreateBucketConfiguration") or {}
    locks = bool(asked.params.get("ObjectLockEnabledForBucket"))
    asked.world.objects.make_bucket(name, region.get("LocationConstraint") or "us-east-1", locks=locks)
    return {"Location": f"http://{name}.s3.amazonaws.com/", "BucketArn": f"arn:aws:s3:::{name}"}


def _lock_configuration(asked: Asked) -> dict[str, Any]:
    if not asked.world.objects.bucket(asked.params["Bucket"]).locks:
        message = "Object Lock configuration does not exist for this bucket"
        raise WorldError(404, "ObjectLockConfigurationNotFoundError", message)
    return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}


def _put(asked: Asked) -> dict[str, Any]:
    params, body = asked.params, bytes(asked.params.get("Body") or b"")
    checksums = _checked(params, body)
    lock = [params.get(name) for name in _LOCK]
    if any(lock) and not all(lock):
        message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        raise WorldError(400, "InvalidArgument", message)
    if any(lock) and not checksums:
        message = (
            "Put Object requests with Object Lock parameters need a Content-MD5 or x-amz-checksum- header"
        )
        raise WorldError(400, "InvalidRequest", message)
    put = asked.world.objects.put(
        *asked.where,
        body,
        headers={name: params[name] for name in _DESCRIBING if params.get(name)},
        checksums=checksums,
        lock=(lock[0], lock[1].replace(tzinfo=UTC)) if lock[0] and lock[1] else None,
    )
    return {"ETag": put.etag, **_told_of(put), **_summed(checksums)}


def _checked(params: Mapping[str, Any], body: bytes) -> dict[str, str]:
    """The checksums that came with a body. Raises WorldError BadDigest."""
    came = {name: str(params[name]) for name in _CHECKSUMS if params.get(name)}
    for name, value in came.items():
        if value != base64.b64encode(_CHECKSUMS[name](body)).decode():
            raise WorldError(400, "BadDigest", f"The {name} you specified did not match what we received.")
    return came


def _summed(checksums: dict[str, str]) -> dict[str, str]:
    return {**checksums, "ChecksumType": "FULL_OBJECT"} if checksums else {}


def _get(asked: Asked) -> dict[str, Any]:
    found = asked.world.objects.find(*asked.where, asked.params.get("VersionId"))
    body = asked.world.objects.body(found)
    answer: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.at,
        "ContentLength": len(body),
        "ETag": found.etag,
        "ContentType": "binary/octet-stream",
        **found.headers,
        **_told_of(found),
    }
    if asked.params.get("ChecksumMode") == "ENABLED":
        answer |= _summed(found.checksums)
    if found.locked_until is not None and asked.role.allows("s3:GetObjectRetention"):
        answer |= {"ObjectLockMode": found.lock_mode, "ObjectLockRetainUntilDate": found.locked_until}
    return answer if asked.operation == "HeadObject" else {**answer, "Body": body}


def _told_of(version: ObjectVersion) -> dict[str, Any]:
    told = {"ServerSideEncryption": "AES256"}
    return told if version.id == NO_VERSION else {**told, "VersionId": version.id}


def _delete(asked: Asked) -> dict[str, Any]:
    version_id = asked.params.get("VersionId")
    gone = asked.world.objects.delete(*asked.where, version_id)
    answer: dict[str, Any] = {"DeleteMarker": True} if gone is not None and gone.marker else {}
    named = version_id or (gone.id if gone is not None and gone.id != NO_VERSION else None)
    return {**answer, "VersionId": named} if named else answer


def _list_versions(asked: Asked) -> dict[str, Any]:
    params = asked.params
    prefix, key, version_id = (params.get(name) or "" for name in ("Prefix", "KeyMarker", "VersionIdMarker"))
    rows = _after(list(asked.world.objects.versions(params["Bucket"], prefix)), key, version_id)
    most, write = _size(params), _writer(params)
    shown = rows[:most]
    answer: dict[str, Any] = {
        "Name": params["Bucket"],
        "Prefix": write(prefix),
        "KeyMarker": write(key),
        "VersionIdMarker": version_id,
        "MaxKeys": most,
        "IsTruncated": len(rows) > most,
    }
    if answer["IsTruncated"]:
        answer |= {"NextKeyMarker": write(shown[-1][0].key), "NextVersionIdMarker": shown[-1][0].id}
    lists = {
        "Versions": [
            {**_row(each, newest, write), **_sized(asked.world, each)}
            for each, newest in shown
            if not each.marker
        ],
        "DeleteMarkers": [_row(each, newest, write) for each, newest in shown if each.marker],
    }
    return answer | _encoded(params) | {name: rows for name, rows in lists.items() if rows}


def _after(
    rows: list[tuple[ObjectVersion, bool]], key: str, version_id: str
) -> list[tuple[ObjectVersion, bool]]:
    """What follows a key, or one of its versions."""
    place = next((i for i, (each, _) in enumerate(rows) if (each.key, each.id) == (key, version_id)), None)
    if place is not None:
        return rows[place + 1 :]
    return [(each, newest) for each, newest in rows if each.key > key] if key else rows


def _row(version: ObjectVersion, newest: bool, write: Callable[[str], str]) -> dict[str, Any]:
    return {
        "Key": write(version.key),
        "VersionId": version.id,
        "IsLatest": newest,
        "LastModified": version.at,
    }


def _sized(world: World, version: ObjectVersion) -> dict[str, Any]:
    return {"ETag": version.etag, "Size": len(world.objects.body(version)), "StorageClass": "STANDARD"}


def _list_objects(asked: Asked) -> dict[str, Any]:
    params = asked.params
    prefix, after = params.get("Prefix") or "", _continued(params) or params.get("StartAfter") or ""
    rows = [
        version
        for version, newest in asked.world.objects.versions(params["Bucket"], prefix)
        if newest and not version.marker and version.key > after
    ]
    most, write = _size(params), _writer(params)
    shown = rows[:most]
    contents = [
        {"Key": write(each.key), "LastModified": each.at, **_sized(asked.world, each)} for each in shown
    ]
    answer: dict[str, Any] = {
        "Name": params["Bucket"],
        "Prefix": write(prefix),
        "MaxKeys": most,
        "KeyCount": len(shown),
        "IsTruncated": len(rows) > most,
    }
    if answer["IsTruncated"]:
        answer["NextContinuationToken"] = base64.urlsafe_b64encode(shown[-1].key.encode()).decode()
    return answer | _encoded(params) | ({"Contents": contents} if contents else {})


def _continued(params: Mapping[str, Any]) -> str:
    try:
        return base64.urlsafe_b64decode(params.get("ContinuationToken") or "").decode()
    except ValueError as error:
        raise WorldError(400, "InvalidArgument", "The continuation token provided is incorrect") from error


def _size(params: Mapping[str, Any]) -> int:
    asked = params.get("MaxKeys", MOST_KEYS)
    if asked < 1:
        raise WorldError(
            400, "InvalidArgument", "Argument maxKeys must be an integer between 1 and 2147483647"
        )
    return min(int(asked), MOST_KEYS)


def _writer(params: Mapping[str, Any]) -> Callable[[str], str]:
    return quote if params.get("EncodingType") == "url" else str


def _encoded(params: Mapping[str, Any]) -> dict[str, str]:
    return {"EncodingType": "url"} if params.get("EncodingType") == "url" else {}


@dataclass(frozen=True)
class Operation:
    """What answers it, the parameters that it understands besides bucket and key, and the IAM action that it needs."""

    respond: Callable[[Asked], dict[str, Any]]
    understands: frozenset[str]
    action: str


def _operation(respond: Callable[[Asked], dict[str, Any]], action: str, *understands: str) -> Operation:
    return Operation(respond, frozenset({"Bucket", "Key", *understands}), f"s3:{action}")


_PUT = ("Body", "ContentLength", "ChecksumAlgorithm", *_DESCRIBING, *_CHECKSUMS, *_LOCK)
_LISTING = ("EncodingType", "MaxKeys", "Prefix")
OPERATIONS = {
    "CreateBucket": _operation(
        _make_bucket, "CreateBucket", "CreateBucketConfiguration", "ObjectLockEnabledForBucket"
    ),
    "GetObjectLockConfiguration": _operation(_lock_configuration, "GetBucketObjectLockConfiguration"),
    "PutObject": _operation(_put, "PutObject", *_PUT),
    "GetObject": _operation(_get, "GetObject", "VersionId", "ChecksumMode"),
    "HeadObject": _operation(_get, "GetObject", "VersionId", "ChecksumMode"),
    "DeleteObject": _operation(_delete, "DeleteObject", "VersionId"),
    "ListObjectVersions": _operation(
        _list_versions, "ListBucketVersions", *_LISTING, "KeyMarker", "VersionIdMarker"
    ),
    "ListObjectsV2": _operation(_list_objects, "ListBucket", *_LISTING, "ContinuationToken", "StartAfter"),
}
# By method, whether a key is named, and the parameter that says what of a bucket is asked for.
_NAMES = {
    ("PUT", False, ""): "CreateBucket",
    ("GET", False, "object-lock"): "GetObjectLockConfiguration",
    ("GET", False, "versions"): "ListObjectVersions",
    ("GET", False, "list-type"): "ListObjectsV2",
    ("PUT", True, ""): "PutObject",
    ("GET", True, ""): "GetObject",
    ("HEAD", True, ""): "HeadObject",
    ("DELETE", True, ""): "DeleteObject",
}
_SAYING = frozenset(what for _, _, what in _NAMES if what)


# ---------------------------------------------------------------- reading and writing


def answer(world: World, role: Role, environ: dict[str, Any]) -> Answered:
    """Status, headers and body; a refusal is an answer, too. Raises DefectError."""
    request = Request(environ)
    model: OperationModel | None = None
    try:
        asked, model = _read(world, role, request)
        for action in _needed(asked):
            if not role.allows(action):
                raise WorldError(403, "AccessDenied", f"{role.name} is not authorized to perform: {action}")
        world.advance()
        result = OPERATIONS[asked.operation].respond(asked)
    except WorldError as error:
        if error.code not in ERRORS and not (model is not None and is_known_error(model, error.code)):
            raise DefectError(f"S3 can't refuse with {error.code}") from error
        status, headers, body = refusal(error.status, error.code, error.message)
        return status, headers, b"" if request.method == "HEAD" else body
    return _write(model, result)


def _read(world: World, role: Role, request: Request) -> tuple[Asked, OperationModel]:
    bucket, _, key = request.path.removeprefix("/").partition("/")
    query = set(request.args) - {"x-id"}
    saying = next(iter(query & _SAYING), "")
    name = _NAMES.get((request.method, bool(key), saying))
    if name is None:
        raise _not_implemented(f"{request.method} with {', '.join(sorted(query)) or 'nothing more'}")
    model = get_service_model(SERVICE).operation_model(name)
    members = model.input_shape.members
    queries = {
        str(each.serialization.get("name"))
        for each in members.values()
        if each.serialization.get("location") == "querystring"
    }
    params = _parsed(model, request, bucket, key)
    strange = sorted((query - queries - {saying}) | (params.keys() - OPERATIONS[name].understands))
    if strange or "aws-chunked" in request.headers.get("Content-Encoding", ""):
        raise _not_implemented(", ".join(strange) or "aws-chunked")
    return Asked(name, params, world, role), model


def _parsed(model: OperationModel, request: Request, bucket: str, key: str) -> dict[str, Any]:
    read = {
        "method": request.method,
        "values": request.args,
        "headers": request.headers,
        "body": request.get_data(),
        "url_path": request.path,
        "url_params": {"Bucket": bucket, "Key": key},
    }
    try:
        params = RestXMLParser(model).parse(read)
    except _UNREADABLE as error:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise WorldError(400, "MalformedXML", message) from error
    return {name: value for name, value in params.items() if value not in (None, {})}


def _needed(asked: Asked) -> tuple[str, ...]:
    """A named version and a lock need permissions of their own."""
    action = OPERATIONS[asked.operation].action
    if asked.params.get("VersionId") and action in ("s3:GetObject", "s3:DeleteObject"):
        return (f"{action}Version",)
    return (action, "s3:PutObjectRetention") if asked.params.get(_LOCK[0]) else (action,)


def _write(model: OperationModel, result: dict[str, Any]) -> Answered:
    """Raises DefectError for what the model doesn't allow."""
    found = problems(model.output_shape, result)
    if found:
        raise DefectError(f"The answer to {model.name} isn't what the model says: {'; '.join(found)}")
    said = S3Serializer(model).serialize(result)
    headers, body = {**said["headers"], REQUEST_ID: _request_id()}, said["body"]
    if "ContentType" in result:  # an object's own, which moto takes for its XML's
        headers["Content-Type"] = result["ContentType"]
    return said["status_code"], headers, body.encode() if isinstance(body, str) else body


def _not_implemented(what: str) -> WorldError:
    message = f"A header you provided implies functionality that is not implemented: {what}"
    return WorldError(501, "NotImplemented", message)


def refusal(status: int, code: str, message: str) -> Answered:
    """An error in S3's form."""
    request_id = _request_id()
    body = (
        "<?xml version='1.0' encoding='UTF-8'?>"
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message><RequestId>{request_id}</RequestId></Error>"
    )
    return status, {"Content-Type": "application/xml", REQUEST_ID: request_id}, body.encode()


def _request_id() -> str:
    return secrets.token_hex(8).upper()
