"""A web application of a hospital, made with authlib, and a browser made with requests.

login ISSUER REDIRECT_URI SCOPE    logs in as a person with a browser would; the PIN is in TEST_PIN. Prints what came of it.
pause ISSUER REDIRECT_URI SCOPE    the same, but says so and waits for a line of input before the code becomes a token
serve ISSUER PORT                  the application's page for a real browser
"""

import html.parser
import http.server
import json
import os
import sys
import urllib.parse

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet
from jwcrypto import jwk, jws

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback


class Form(html.parser.HTMLParser):
    """The hidden field and the first card of the login page."""

    def __init__(self, text):
        super().__init__()
        self.fields, self.title, self.scripts = {}, False, 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.scripts += tag == "script"
        if tag == "form":
            self.action = attributes["action"]
        if tag == "input" and attributes["type"] in ("hidden", "radio"):
            self.fields.setdefault(attributes["name"], attributes["value"])


class Application:
    def __init__(self, issuer, redirect_uri, scope):
        metadata = requests.get(f"{issuer}/.well-known/oauth-authorization-server", timeout=30).json()
        assert metadata["issuer"] == issuer, metadata
        self.metadata, self.redirect_uri = metadata, redirect_uri
        self.session = OAuth2Session(
            "page", scope=scope, redirect_uri=redirect_uri, code_challenge_method="S256", token_endpoint_auth_method="none"
        )

    def begin(self):
        self.verifier, self.nonce = generate_token(64), generate_token(20)
        address, self.state = self.session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=self.verifier, nonce=self.nonce
        )
        return address

    def finish(self, address):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert query["iss"] == self.metadata["issuer"], query
        token = self.session.fetch_token(
            self.metadata["token_endpoint"], authorization_response=address, state=self.state, code_verifier=self.verifier
        )
        keys = requests.get(self.metadata["jwks_uri"], timeout=30).json()
        return token, self.verify(token, keys)

    def verify(self, token, keys):
        """Claims of both tokens, each verified: the access token with jwcrypto, the id_token with joserfc."""
        signed = jws.JWS()
        signed.deserialize(token["access_token"])
        signed.allowed_algs = ["ES384"]
        signed.verify(jwk.JWKSet.from_json(json.dumps(keys)).get_key(signed.jose_header["kid"]))
        assert signed.jose_header["typ"] == "at+jwt", signed.jose_header
        access = json.loads(signed.payload)
        identity = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=["ES384"])
        known = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.metadata["issuer"]},
            aud={"essential": True, "value": "page"},
            nonce={"essential": True, "value": self.nonce},
            exp={"essential": True},
        )
        known.validate(identity.claims)
        from authlib.oidc.core.util import create_half_hash

        assert create_half_hash(token["access_token"], "ES384").decode() == identity.claims["at_hash"]
        return access, identity.claims


def login(issuer, redirect_uri, scope, before_token=lambda: None):
    application, browser = Application(issuer, redirect_uri, scope), requests.Session()
    page = browser.get(application.begin(), timeout=60)
    form = Form(page.text)
    last_try = {"last_try": "yes"} if "TEST_LAST_TRY" in os.environ else {}
    assert page.ok and form.scripts == 0, page.text
    said = browser.post(
        urllib.parse.urljoin(issuer, form.action),
        data={**form.fields, **last_try, "pin": os.environ["TEST_PIN"], "do": "log-in"},
        headers={"Origin": issuer},
        allow_redirects=False,
        timeout=60,
    )
    if said.status_code != 303:
        sys.exit(said.text)
    before_token()
    try:
        token, (access, identity) = application.finish(said.headers["Location"])
    except AuthlibBaseError as refused:
        print(json.dumps({"error": refused.error, "description": refused.description}))
        return
    print(json.dumps({"scope": token["scope"], "refused": token["refused_scopes"], "access": access, "id": identity}))


def pause(issuer, redirect_uri, scope):
    def wait():
        print("logged in", flush=True)
        sys.stdin.readline()

    login(issuer, redirect_uri, scope, wait)


def serve(issuer, port):
    address = f"http://127.0.0.1:{port}"
    application = Application(issuer, f"{address}/back", "openid prescription.sign")

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/":
                self.send_response(303)
                self.send_header("Location", application.begin())
                self.end_headers()
                return
            if not self.path.startswith("/back?"):
                self.send_error(404)
                return
            _, (access, _) = application.finish(address + self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Welcome {access['idNummer']}</title>".encode())

    http.server.HTTPServer(("127.0.0.1", int(port)), Page).serve_forever()


if __name__ == "__main__":
    {"login": login, "pause": pause, "serve": serve}[sys.argv[1]](*sys.argv[2:])
