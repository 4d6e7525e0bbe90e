"""How the simulated site refuses: each failure knows its status and its true message."""


class ApiError(Exception):
    """A call that fails; `message` is what an administrator sees, others see an Error ID."""

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class PageError(ApiError):
    """A failure before the API's own error handling: an HTML page on WordPress, with 200.

    `html_everywhere`: Standalone answers HTML too (bad JSON), not its usual JSON error.
    """

    def __init__(self, message: str, html_everywhere: bool = False) -> None:
        super().__init__(message)
        self.html_everywhere = html_everywhere


def forbidden() -> ApiError:
    """The user lacks a permission."""
    return ApiError("Authorization failed", 403)


def duplicate() -> ApiError:
    """A unique key is taken."""
    return ApiError("DB Error: already exists")


def dangling() -> ApiError:
    """A foreign key points nowhere."""
    return ApiError("DB Error: constraint violation")


def wrong_type(message: str) -> PageError:
    """PHP's own type check failed."""
    return PageError(message, html_everywhere=True)
