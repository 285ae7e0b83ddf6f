"""The one error of the demo."""

from pyelt_provider.errors import PyeltError


class DemoError(PyeltError):
    """The demo cannot start or go on; the message says why and the way out."""
