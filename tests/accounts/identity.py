"""A small provider on loopback: OpenID Connect (discovery, authorize, token with PKCE, user info), also at GitHub's
addresses, with GitHub's answers."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

CLIENT, SECRET = "nexus", "a-secret-of-the-client"
SIGNED_WITH = "k" * 64


@dataclass
class IdentityProvider:
    """Vouches for `person`. `claims` and `info` change what the id token and the user info say."""

    person: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    broken: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, urlsplit(self.path), "")

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                provider.answer(self, urlsplit(self.path), self.rfile.read(length).decode())

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def reset(self, **person: Any) -> None:
        self.person, self.claims, self.info, self.broken = person, {}, {}, False
        self.asked.clear()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, at: BaseHTTPRequestHandler, address: Any, body: str) -> None:
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if self.broken:
            self.send(at, 500, {"error": "server_error"})
        elif address.path == "/.well-known/openid-configuration":
            self.send(at, 200, self.discovery())
        elif address.path in ("/authorize", "/login/oauth/authorize"):
            self.asked.append(query)
            code = secrets.token_hex(8)
            self.codes[code] = query
            at.send_response(302)
            back = urlencode({"code": code, "state": query["state"]})
            at.send_header("Location", f"{query['redirect_uri']}?{back}")
            at.end_headers()
        elif address.path in ("/token", "/login/oauth/access_token"):
            self.send(at, *self.token(form))
        elif address.path in ("/userinfo", "/api/v3/user"):
            self.send(at, 200, self.person | self.info)
        elif address.path == "/api/v3/user/emails":
            emails = [{"email": self.person["email"], "primary": True, "verified": True}]
            self.send(at, 200, emails)
        else:
            self.send(at, 404, {})

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        known = (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        if asked is None or not known or asked.get("code_challenge") != challenge:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": asked.get("nonce"),
            **self.person,
            **self.claims,
        }
        signed = jwt.encode(claims, SIGNED_WITH, algorithm="HS256", headers={"kid": "1"})
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": signed, "expires_in": 60}

    @staticmethod
    def send(at: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        at.send_response(status)
        at.send_header("Content-Type", "application/json")
        at.send_header("Content-Length", str(len(data)))
        at.end_headers()
        at.wfile.write(data)
