"""Logging in through an OpenID Connect provider: a real server against a small provider on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.e2e.server import Server

from .identity import CLIENT, SECRET, IdentityProvider
from .visitor import PASSWORD, Browser

pytestmark = pytest.mark.slow
BEGIN = "/accounts/oidc/sso/login/"


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    running = IdentityProvider()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("nexus"),
        NEXUS_OIDC_ISSUER=provider.issuer,
        NEXUS_OIDC_CLIENT_ID=CLIENT,
        NEXUS_OIDC_CLIENT_SECRET=SECRET,
        NEXUS_OIDC_NAME="Acme",
        NO_PROXY="127.0.0.1",
    )
    running.prepare()
    running.manage("create_user", "alice", "--password", PASSWORD, "--workspace", "team", "--role", "owner")
    running.start()
    yield running
    running.stop()
    found = running.tracebacks()
    assert not found, "\n\n".join(found)


@pytest.fixture
def visitor(server: Server, provider: IdentityProvider) -> Iterator[Browser]:
    provider.reset(sub="42", email="carol@example.org", name="Carol", preferred_username="carol")
    with Browser(server, BEGIN) as browser:
        yield browser


def test_it_offers_what_is_configured_and_nothing_else(visitor):
    page = visitor.get("/accounts/login/").text
    assert "Log in with Acme" in page
    assert "GitHub" not in page and "Google" not in page
    assert visitor.get("/accounts/github/login/").status_code == 404
    assert visitor.get("/accounts/oidc/other/login/").status_code == 404
    assert "content-security-policy" in visitor.get("/accounts/login/").headers


def test_it_asks_with_a_state_a_challenge_and_a_nonce(visitor, provider):
    asked = parse_qs(urlsplit(visitor.leave()).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["state"][0]) >= 16
    assert len(asked["nonce"][0]) >= 32
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}


def test_it_lets_no_stranger_in_while_sign_up_is_closed(visitor):
    answer = visitor.walk()
    page = visitor.get(answer.headers["location"]) if answer.is_redirect else answer
    assert "Sign-up is closed" in page.text
    assert not visitor.is_in


def test_it_logs_in_who_connected_the_account_before(visitor, provider, server):
    provider.reset(sub="alice-there", email="alice@elsewhere.example")
    alice = visitor.log_in()
    alice.reauthenticate()
    connected = alice.walk("connect")
    assert connected.headers["location"].endswith("/accounts/3rdparty/")
    assert "Acme" in alice.get("/accounts/3rdparty/").text
    with Browser(server, BEGIN) as elsewhere:
        assert elsewhere.walk().headers["location"] == "/"
        assert elsewhere.is_in


def test_it_refuses_an_answer_to_a_question_it_did_not_ask(visitor, provider, server):
    provider.reset(sub="alice-there")
    back = httpx.get(visitor.leave(), trust_env=False, timeout=60).headers["location"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    path = urlsplit(back).path
    for state in ("", "wrong" * 4):
        answer = visitor.get(f"{path}?{urlencode({**query, 'state': state})}")
        assert "That did not work" in answer.text
    with Browser(server, BEGIN) as other:
        assert "That did not work" in other.get(back).text, "another browser's state"
        assert not other.is_in
    assert not visitor.is_in


def test_it_refuses_a_code_that_was_issued_to_another_browser(visitor, provider, server):
    provider.reset(sub="alice-there")
    with Browser(server, BEGIN) as thief:
        stolen = parse_qs(
            urlsplit(httpx.get(thief.leave(), trust_env=False, timeout=60).headers["location"]).query
        )
    back = urlsplit(httpx.get(visitor.leave(), trust_env=False, timeout=60).headers["location"])
    own = parse_qs(back.query)
    mixed = urlencode({"code": stolen["code"][0], "state": own["state"][0]})
    assert "That did not work" in visitor.get(f"{back.path}?{mixed}").text
    assert not visitor.is_in


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"iss": "http://127.0.0.1:9/"},
        {"exp": 1},
        {"sub": "somebody-else"},
        {"nonce": "of-another-question"},
        {"nonce": None},
    ],
    ids=lambda claims: "-".join(str(word) for word in next(iter(claims.items()))),
)
def test_it_refuses_an_id_token_that_is_not_about_this(visitor, provider, claims):
    provider.reset(sub="alice-there")
    provider.claims = claims
    assert "That did not work" in visitor.walk().text
    assert not visitor.is_in


def test_its_nonce_is_its_own_whatever_the_button_says(visitor, provider):
    asked = [visitor.leave(also="&auth_params=nonce%3Dchosen") for _ in range(2)]
    nonces = {nonce for one in asked for nonce in parse_qs(urlsplit(one).query)["nonce"]}
    assert len(nonces) == 2 and "chosen" not in nonces


def test_it_refuses_a_token_that_was_issued_to_another_question(visitor, provider, server):
    """The code, the state and the challenge are this browser's; only the token is of another login [nonce]."""
    provider.reset(sub="alice-there")
    with Browser(server, BEGIN) as thief:
        other = parse_qs(urlsplit(thief.leave()).query)["nonce"][0]
    provider.claims = {"nonce": other}
    assert "That did not work" in visitor.walk().text
    assert not visitor.is_in


def test_it_says_so_when_the_provider_is_away_or_says_no(visitor, provider):
    back = urlsplit(httpx.get(visitor.leave(), trust_env=False, timeout=60).headers["location"])
    state = parse_qs(back.query)["state"][0]
    refused = visitor.get(f"{back.path}?{urlencode({'error': 'access_denied', 'state': state})}")
    page = visitor.get(refused.headers["location"]) if refused.is_redirect else refused
    assert "broken off" in page.text
    provider.broken = True
    away = visitor.send_form("/accounts/login/", f"{BEGIN}?process=login")
    assert "That did not work" in away.text


def test_it_makes_an_account_where_the_operator_wants_that(visitor, provider, server):
    server.stop()
    server.env["NEXUS_OIDC_SIGNUP"] = "1"
    server.start()
    answer = visitor.walk()
    assert answer.headers["location"] == "/"
    assert "You are in no workspace yet" in visitor.get("/").text
    assert server.manage("shell", "-c", "from workspaces.models import User; print(User.objects.get(username='carol').name)").strip().endswith("Carol")  # fmt: skip
