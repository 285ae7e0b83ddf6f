"""The demo's questions to Airflow's API outlast a server that is busy for a moment, and a login that expired."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pyelt_provider.demo import api
from pyelt_provider.demo.api import Api
from pyelt_provider.demo.failure import DemoError

Answers = list[tuple[int, object]]


class Server(ThreadingHTTPServer):
    """Gives the prepared answers, one after the other, and the last one for ever; tokens are numbered."""

    answers: Answers
    tokens = 0
    seen: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append(self.headers["Authorization"])
        answers = self.server.answers
        self._reply(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def do_POST(self) -> None:
        self.server.tokens += 1
        self._reply(201, {"access_token": f"token-{self.server.tokens}"})

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass

    def _reply(self, code: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def api_of(server: Server) -> Api:
    return Api(f"http://127.0.0.1:{server.server_port}", "admin", "secret")


NONE = {"import_errors": [], "total_entries": 0}


def test_a_server_that_fails_for_a_moment_is_asked_again(server: Server) -> None:
    server.answers = [(503, {}), (200, NONE)]

    assert api_of(server).import_errors() == []


def test_a_login_that_expired_is_renewed(server: Server) -> None:
    server.answers = [(401, {}), (200, NONE)]

    assert api_of(server).import_errors() == []
    assert server.seen == ["Bearer token-1", "Bearer token-2"]


def test_an_answer_that_stays_wrong_is_an_error_with_its_number(server: Server) -> None:
    server.answers = [(404, {"detail": "no such thing"})]

    with pytest.raises(DemoError, match=r"answered 404 to GET /api/v2/importErrors.*no such thing"):
        api_of(server).import_errors()


def test_a_server_that_is_away_is_an_error_and_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ATTEMPTS", 2)
    away = Api("http://127.0.0.1:9", "admin", "secret")

    assert not away.healthy()
    with pytest.raises(DemoError, match="does not answer GET"):
        away.import_errors()


def test_lists_of_more_than_one_page_are_read_to_their_end(server: Server) -> None:
    page = [{"filename": f"{number}.py", "stack_trace": "error"} for number in range(100)]
    server.answers = [
        (200, {"import_errors": page, "total_entries": 101}),
        (200, {"import_errors": page[:1], "total_entries": 101}),
    ]

    assert len(api_of(server).import_errors()) == 101
