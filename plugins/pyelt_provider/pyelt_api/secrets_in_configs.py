"""``pyelt.helpers.encrypt``: texts in configs that are not to be read at a glance; this is no protection."""

from __future__ import annotations

import base64
import socket


class SimpleEncrypt:
    """Shifts each character by one of the key, which begins with the name of the machine; PyELT's texts can be read."""

    @staticmethod
    def encode(key: str, clear: str) -> str:
        """Return the text as it may stand in a config of this machine."""
        shifted = "".join(chr((ord(c) + ord(k)) % 256) for c, k in _beside_key(key, clear))
        return base64.urlsafe_b64encode(shifted.encode()).decode()

    @staticmethod
    def decode(key: str, enc: str) -> str:
        """Return the text that was encoded with this key on this machine."""
        shifted = base64.urlsafe_b64decode(enc.encode()).decode()
        return "".join(chr((ord(c) - ord(k)) % 256) for c, k in _beside_key(key, shifted))


def _beside_key(key: str, text: str) -> list[tuple[str, str]]:
    whole = socket.gethostname() + key
    return [(character, whole[index % len(whole)]) for index, character in enumerate(text)]
