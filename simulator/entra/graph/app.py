"""The Graph front as one blueprint under `/v1.0`, with userinfo beside it."""

from flask import Blueprint, Flask, Response, jsonify, request

from simulator.entra.graph import approvals, audits, directory, pim, policies, sync
from simulator.entra.graph.core import GraphFront
from simulator.entra.graph.errors import GraphError
from simulator.entra.graph.permissions import authenticate
from simulator.entra.tokens import GRAPH_APP_ID, pairwise_subject


def _userinfo(front: GraphFront) -> Response:
    try:
        caller = authenticate(front.provider, request.headers.get("Authorization"))
    except GraphError as problem:
        response = jsonify(problem.body(request_id="", client_request_id=""))
        response.status_code = problem.status
        response.headers.update(problem.headers)
        return response
    account = front.provider.accounts.find(caller.object_id)
    if account is None:
        return Response(status=404)
    return jsonify(
        {
            "sub": pairwise_subject(object_id=account.object_id, client_id=GRAPH_APP_ID),
            "name": account.name,
            "family_name": account.surname,
            "given_name": account.given_name,
            "email": account.email,
        }
    )


def add_graph(app: Flask, front: GraphFront) -> None:
    """Serve Graph below `/v1.0` and `/oidc/userinfo`, as graph.microsoft.com does."""
    blueprint = Blueprint("graph", __name__, url_prefix="/v1.0")
    for part in (directory, pim, approvals, policies, sync, audits):
        part.add_routes(front, blueprint)
    app.register_blueprint(blueprint)
    app.add_url_rule("/oidc/userinfo", "userinfo", lambda: _userinfo(front))

    @app.route("/v1.0/<path:path>", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    def unknown(path: str) -> Response:
        return front.answer_unknown(path)
