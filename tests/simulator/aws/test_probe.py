"""Each call that the product makes to AWS, over HTTP with boto3: the bytes that come back, judged without the simulator.

The judge below is this test's own, so that a mistake in the simulator's check of its own answers shows. It looks at what
was sent, JSON or XML, before boto3 leaves out what it doesn't know.
"""

import ast
import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from clients.aws.trail_sql import select
from simulator.aws.patterns import compiled
from simulator.aws.trail_queries import STORE_ID
from simulator.sample import load_sample
from simulator.world.clock import WorldClock
from simulator.world.world import World
from tests.simulator.aws.running import ACCESS_KEY, Aws, serving
from tests.simulator.aws.test_shapes import DENIAL, Names, calls, writes
from tests.simulator.world.factory import START

ADAPTERS = Path(__file__).parents[3] / "clients" / "aws"
# Named in the adapters as something else: another service's method of that name is what is called.
NAMESAKES = {
    ("iam", "list_groups"),
    ("iam", "list_users"),
    ("athena", "list_tags_for_resource"),
    ("config", "list_tags_for_resource"),
}
# Not simulated: what the adapter is answered is held to the model by botocore (tests/clients/test_athena_trail.py).
STUBBED = {("athena", name) for name in ("start_query_execution", "get_query_execution", "get_query_results")}


def product_calls() -> set[tuple[str, str]]:
    """Service and method of what the adapters call: every text in them that boto3 knows as one."""
    texts = {
        node.value
        for path in ADAPTERS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    session = boto3.session.Session()
    found = set()
    for service in texts & set(session.get_available_services()):
        client = session.client(
            service,
            region_name="eu-west-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key="not-a-secret",
        )
        found |= {(service, method) for method in texts & set(client.meta.method_to_api_mapping)}
    assert found >= NAMESAKES | STUBBED, "what isn't named any more needs no exception"
    return found - NAMESAKES - STUBBED


# --- The judge


def wrong(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What the model doesn't allow of an answer, as JSON reads it."""
    if isinstance(shape, StructureShape):
        yield from _wrong_members(shape, value, path)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        yield from _wrong_size(shape, len(value), path)
        for each in value:
            yield from wrong(shape.member, each, f"{path}[]")
    elif isinstance(shape, MapShape):
        for name, content in value.items():
            yield from wrong(shape.key, name, f"{path} (name)")
            yield from wrong(shape.value, content, f"{path}.{name}")
    else:
        yield from _wrong_scalar(shape, value, path)


def _wrong_members(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is no structure"
        return
    yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
    for name, content in value.items():
        if name not in shape.members:
            yield f"{path}.{name} is unknown"
        else:
            yield from wrong(shape.members[name], content, f"{path}.{name}")


def _wrong_size(shape: Shape, size: int, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", math.inf)
    if not least <= size <= most:
        yield f"{path} has the length {size}, not {least} to {most}"


def _wrong_scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "long": (int,),
        "timestamp": (int, float, datetime),
        "blob": (str, bytes),
    }
    if type(value) not in kinds[shape.type_name]:
        yield f"{path} is {value!r} and no {shape.type_name}"
    elif isinstance(value, str):
        yield from _wrong_size(shape, len(value), path)
        pattern = shape.metadata.get("pattern")
        if pattern and not compiled(pattern).fullmatch(value):
            yield f"{path} is {value!r}, which doesn't match {pattern}"
        if shape.enum and value not in shape.enum:
            yield f"{path} is {value!r}, which is none of {shape.enum}"


# --- XML, read by the model's names


def read(shape: Shape, element: ET.Element) -> Any:
    """An element as JSON would have it; what the model doesn't name keeps its own."""
    if isinstance(shape, StructureShape):
        return _members(shape, element)
    if isinstance(shape, ListShape):
        return [read(shape.member, each) for each in element]
    text = element.text or ""
    if shape.type_name == "timestamp":
        return datetime.fromisoformat(text)
    if shape.type_name in ("integer", "long"):
        return int(text)
    return {"true": True, "false": False}[text] if shape.type_name == "boolean" else text


def _members(shape: StructureShape, element: ET.Element) -> dict[str, Any]:
    names = {_written(name, member): (name, member) for name, member in shape.members.items()}
    found: dict[str, Any] = {}
    for each in element:
        tag = _tag(each)
        name, member = names.get(tag, (tag, None))
        if member is None:
            found[name] = "?"
        elif isinstance(member, ListShape) and member.serialization.get("flattened"):
            found.setdefault(name, []).append(read(member.member, each))
        else:
            assert name not in found, f"{name} twice"
            found[name] = read(member, each)
    return found


def _written(name: str, member: Shape) -> str:
    return str(member.serialization.get("name", name))


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def as_sent(shape: StructureShape, protocol: str, content: bytes) -> Iterator[str]:
    """What is wrong with the body of an answer."""
    if protocol == "json":
        yield from wrong(shape, json.loads(content), "")
        return
    root = ET.fromstring(content)  # noqa: S314 - the simulator on loopback wrote it
    wrapper = shape.serialization.get("resultWrapper")
    if wrapper:
        (root,) = [each for each in root if _tag(each) == wrapper]
    payload = shape.serialization.get("payload")
    held = shape.members[payload] if payload else shape
    yield from wrong(held, read(held, root), "")


class Probe:
    """Makes calls, and keeps which, and what is wrong with the answers."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._content = b""
        self.made: set[tuple[str, str]] = set()
        self.wrong: list[str] = []

    def call(self, service: str, method: str, **arguments: Any) -> dict[str, Any]:
        client = self._aws.client(service)
        client.meta.events.register("after-call", self._keep, unique_id="probe")
        answer: dict[str, Any] = getattr(client, method)(**arguments)
        self.made.add((service, method))
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        if model.output_shape is not None and not self._is_object(service, method):
            protocol = client.meta.service_model.metadata["protocol"]
            found = as_sent(model.output_shape, protocol, self._content)
            self.wrong += [f"{service}.{method}{each}" for each in found]
        elif model.output_shape is not None:
            told = {name: value for name, value in answer.items() if name not in ("ResponseMetadata", "Body")}
            self.wrong += [f"{service}.{method}{each}" for each in wrong(model.output_shape, told, "")]
        return answer

    def _keep(self, http_response: Any, model: Any, **_: Any) -> None:
        self._content = b"" if model.has_streaming_output else http_response.content

    @staticmethod
    def _is_object(service: str, method: str) -> bool:
        """Whose answer is in headers, which boto3 reads by the model's names alone."""
        return service == "s3" and method in ("create_bucket", "put_object", "get_object")


@pytest.fixture(scope="module")
def world() -> World:
    found = load_sample(WorldClock.stepping(START))
    found.switches.trail_delay_seconds = 0.0
    person = found.directory.find_user_by_name("amara.okafor@acme.example")
    assert person is not None
    found.access_portal.sign_in(person.id)
    return found


@pytest.fixture(scope="module")
def probe(world: World) -> Iterator[Probe]:
    with serving(world) as running:
        yield Probe(running)


def look_into_the_trail(probe: Probe, world: World) -> None:
    center = world.state.identity_center
    held = (f"recipientaccountid = '{center.owner_account_id}'", f"awsregion = '{center.region}'")
    statement = select(("eventtime", "eventid", "eventjson"), STORE_ID, held, most=10)
    query = probe.call("cloudtrail", "start_query", QueryStatement=statement)["QueryId"]
    statuses = [probe.call("cloudtrail", "get_query_results", QueryId=query)["QueryStatus"] for _ in "12"]
    assert statuses == ["RUNNING", "FINISHED"]


def keep_objects(probe: Probe, region: str) -> None:
    made = {"Bucket": "probe-bucket", "CreateBucketConfiguration": {"LocationConstraint": region}}
    probe.call("s3", "create_bucket", ObjectLockEnabledForBucket=True, **made)
    put = probe.call("s3", "put_object", Bucket="probe-bucket", Key="a/1", Body=b"one")
    which = {"Bucket": "probe-bucket", "Key": "a/1", "VersionId": put["VersionId"]}
    assert probe.call("s3", "get_object", **which)["Body"].read() == b"one"
    assert probe.call("s3", "list_object_versions", Bucket="probe-bucket", Prefix="a/")["Versions"]
    probe.call("s3", "get_object_lock_configuration", Bucket="probe-bucket")


def test_no_call_of_the_product_has_a_wrong_answer(probe: Probe, world: World) -> None:
    names = Names(world)
    for service, method, arguments in calls(names):
        probe.call(service, method, **arguments)
    policy = {"Name": "Probe", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": DENIAL}
    policy_id = probe.call("organizations", "create_policy", **policy)["Policy"]["PolicySummary"]["Id"]
    request_id = world.identity_center.provision(names.permission_set).id
    for service, method, arguments in writes(names, policy_id, request_id):
        probe.call(service, method, **arguments)
    look_into_the_trail(probe, world)
    keep_objects(probe, world.state.identity_center.region)
    assert probe.wrong == []
    product = product_calls()
    assert len(product) > 30
    assert product - probe.made == set(), "a call that the product makes is probed"


def test_the_judge_finds_what_is_wrong(probe: Probe) -> None:
    def found(service: str, operation: str, protocol: str, content: str) -> list[str]:
        model = probe._aws.client(service).meta.service_model.operation_model(operation)
        return list(as_sent(model.output_shape, protocol, content.encode()))

    key = "11111111-1111-4111-8111-111111111111"
    group = {
        "IdentityStoreId": "d-0123456789",
        "GroupId": key,
        "GroupArn": f"arn:aws:identitystore:::group/{key}",
        "Revision": "1",
    }
    of_group = ("identitystore", "DescribeGroup", "json")
    assert found(*of_group, json.dumps(group)) == []
    for change, says in (
        ({"GroupId": "no id"}, ".GroupId is 'no id', which doesn't match"),
        ({"Mood": "good"}, ".Mood is unknown"),
        ({"ExternalIds": []}, ".ExternalIds has the length 0"),
        ({"DisplayName": None}, ".DisplayName is None and no string"),
        ({"DisplayName": "bell\a"}, ".DisplayName is"),
    ):
        (only,) = found(*of_group, json.dumps({**group, **change}))
        assert only.startswith(says)
    missing = [f".{name} is missing" for name in ("GroupArn", "GroupId", "IdentityStoreId", "Revision")]
    assert sorted(found(*of_group, "{}")) == missing
    caller = "<R><GetCallerIdentityResult>{}</GetCallerIdentityResult></R>"
    of_caller = ("sts", "GetCallerIdentity", "query")
    assert found(*of_caller, caller.format("<Arn>arn:aws:iam::111122223333:root</Arn>")) == []
    assert found(*of_caller, caller.format("<Mood>good</Mood>")) == [".Mood is unknown"]
    assert found(*of_caller, caller.format("<Arn>arn</Arn>"))
