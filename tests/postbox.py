"""A real SMTP server on the loopback address, which keeps what arrives."""

from __future__ import annotations

import contextlib
import email
import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message


class Postbox(Message):
    """Keeps every mail that arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[EmailMessage] = []

    def handle_message(self, message: email.message.Message) -> None:
        self.mails.append(email.message_from_bytes(message.as_bytes(), policy=email.policy.default))

    @property
    def subjects(self) -> list[str]:
        return [mail["subject"] for mail in self.mails]


@contextlib.contextmanager
def postbox_server() -> Iterator[tuple[Postbox, str]]:
    """Give a running server's postbox and the URL of its Airflow connection."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield box, f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true&timeout=5"
    finally:
        server.stop()
