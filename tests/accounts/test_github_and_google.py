"""Logging in through GitHub and Google: a real server, the product's own configuration, and their addresses on
loopback. What they have in common is tested for both; what only a token of Google can get wrong, for Google."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.e2e.server import Server

from .identity import CLIENT, SECRET, IdentityProvider
from .visitor import PASSWORD, Browser

pytestmark = pytest.mark.slow
BEGIN = {"GitHub": "/accounts/github/login/", "Google": "/accounts/google/login/"}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    running = IdentityProvider()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("nexus"),
        DJANGO_SETTINGS_MODULE="tests.accounts.elsewhere_settings",
        NEXUS_TEST_IDENTITY=provider.issuer,
        NEXUS_GITHUB_CLIENT_ID=CLIENT,
        NEXUS_GITHUB_CLIENT_SECRET=SECRET,
        NEXUS_GOOGLE_CLIENT_ID=CLIENT,
        NEXUS_GOOGLE_CLIENT_SECRET=SECRET,
        NO_PROXY="127.0.0.1",
    )
    member = ("create_user", "alice", "--password", PASSWORD, "--workspace", "team", "--role", "owner")
    running.prepare(member)
    running.manage(
        "shell", "-c",
        "from workspaces.models import User; from allauth.account.models import EmailAddress\n"
        "alice = User.objects.get(username='alice'); alice.email = 'alice@example.org'; alice.save()\n"
        "EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)",
    )  # fmt: skip
    running.start()
    yield running
    running.stop()
    assert running.tracebacks() == [], running.log.read_text()[-4000:]


@pytest.fixture(params=[*BEGIN])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def visitor(server: Server, provider: IdentityProvider, service: str) -> Iterator[Browser]:
    is_person(provider, "42", "carol")
    with Browser(server, BEGIN[service]) as browser:
        yield browser


def is_person(provider: IdentityProvider, number: str, name: str) -> None:
    """Who is at the provider: `number` there, with a confirmed address."""
    provider.reset(
        id=int(number), sub=number, login=name, name=name.title(), email=f"{name}@example.org", email_verified=True
    )  # fmt: skip


def way_back(browser: Browser) -> tuple[str, dict[str, str]]:
    """Goes to the provider: the path and the query of the address that it sends the browser to."""
    back = urlsplit(httpx.get(browser.leave(), trust_env=False, timeout=60).headers["location"])
    return back.path, {name: values[0] for name, values in parse_qs(back.query).items()}


def test_they_ask_for_no_more_than_who_one_is(visitor, service):
    assert f"Log in with {service}" in visitor.get("/accounts/login/").text
    asked = {name: values[0] for name, values in parse_qs(urlsplit(visitor.leave()).query).items()}
    assert asked["client_id"] == CLIENT and asked["response_type"] == "code"
    assert asked["redirect_uri"].endswith(f"{BEGIN[service]}callback/")
    assert asked["code_challenge_method"] == "S256" and len(asked["state"]) >= 16
    assert ("nonce" in asked) == (service == "Google"), "GitHub speaks no OpenID Connect"
    granted = {"GitHub": set(), "Google": {"profile", "email", "openid"}}
    assert set(asked.get("scope", "").split()) <= granted[service] | {"user:email"}


def test_they_let_no_stranger_in_while_sign_up_is_closed(visitor):
    answer = visitor.walk()
    page = visitor.get(answer.headers["location"]) if answer.is_redirect else answer
    assert "Sign-up is closed" in page.text
    assert not visitor.is_in


def test_an_address_that_is_the_same_opens_no_account(visitor, provider):
    """The service vouches for alice's address. It is not alice's account there until she connected it here."""
    is_person(provider, "666", "alice")
    answer = visitor.walk()
    page = visitor.get(answer.headers["location"]) if answer.is_redirect else answer
    assert "Sign-up is closed" in page.text or "already" in page.text
    assert not visitor.is_in


def test_they_log_in_who_connected_the_account_before(visitor, provider, server, service):
    is_person(provider, "7", "alice")
    alice = visitor.log_in()
    alice.reauthenticate()
    assert alice.walk("connect").headers["location"].endswith("/accounts/3rdparty/")
    assert service in alice.get("/accounts/3rdparty/").text
    with Browser(server, BEGIN[service]) as elsewhere:
        assert elsewhere.walk().headers["location"] == "/"
        assert elsewhere.is_in
    is_person(provider, "8", "alice")
    with Browser(server, BEGIN[service]) as namesake:
        namesake.walk()
        assert not namesake.is_in, "the account's number counts, not its name"


def test_they_refuse_what_was_asked_by_somebody_else(visitor, provider, server, service):
    is_person(provider, "7", "alice")
    with Browser(server, BEGIN[service]) as thief:
        path, stolen = way_back(thief)
    _, own = way_back(visitor)
    for query in (
        stolen,
        {**own, "state": ""},
        {**own, "state": "wrong" * 4},
        {"code": stolen["code"], "state": own["state"]},
    ):
        assert "That did not work" in visitor.get(f"{path}?{urlencode(query)}").text
        assert not visitor.is_in


def test_they_say_so_when_the_service_is_away(visitor, provider):
    path, query = way_back(visitor)
    provider.broken = True
    assert "That did not work" in visitor.get(f"{path}?{urlencode(query)}").text
    assert not visitor.is_in


@pytest.mark.parametrize("service", ["Google"], indirect=True)
@pytest.mark.parametrize(
    "claims",
    [{"aud": "another-client"}, {"iss": "http://127.0.0.1:9/"}, {"exp": 1}, {"nonce": "another"}, {"nonce": None}],
    ids=lambda claims: "-".join(str(word) for word in next(iter(claims.items()))),
)  # fmt: skip
def test_google_is_refused_a_token_that_is_not_about_this(visitor, provider, claims):
    is_person(provider, "7", "alice")
    provider.claims = claims
    assert "That did not work" in visitor.walk().text
    assert not visitor.is_in
