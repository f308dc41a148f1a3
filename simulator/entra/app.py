"""The Flask applications behind the two listeners of the simulated Entra."""

from flask import Flask, Response

from simulator.entra.oidc import back_channel
from simulator.entra.provider import Provider
from simulator.entra.signin import browser

MOST_BODY = 1024 * 1024


def authority_app(provider: Provider) -> Flask:
    """What the HTTPS listener serves: discovery, keys, tokens."""
    app = Flask("simulator.authority", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    app.register_blueprint(back_channel(provider))
    return app


def browser_app(provider: Provider) -> Flask:
    """What the plain HTTP listener serves to begin with: sign-in pages and their style sheet."""
    app = Flask("simulator", static_folder="static", static_url_path="/_static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.register_blueprint(browser(provider))

    @app.get("/favicon.ico")
    def no_icon() -> Response:
        return Response(status=204)

    return app
