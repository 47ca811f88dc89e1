"""What can go wrong with a database, in the words of golem:rdbms."""

from __future__ import annotations

from golem_server.model.types import Value

CONNECTION_FAILURE = "connection-failure"
PARAMETER_FAILURE = "query-parameter-failure"
EXECUTION_FAILURE = "query-execution-failure"
RESPONSE_FAILURE = "query-response-failure"
OTHER = "other"


class RdbmsError(Exception):
    """An error of the interface: `case` of its variant, and a text.

    `transient` says that the same thing may succeed later; `happened` is False where the statement certainly had no
    effect, so that it may be repeated whatever the guest says of its effects.
    """

    def __init__(self, case: str, text: str, *, transient: bool = False, happened: bool = True) -> None:
        super().__init__(text)
        self.case = case
        self.text = text
        self.transient = transient
        self.happened = happened

    @property
    def value(self) -> Value:
        """The WIT value."""
        return (self.case, self.text)

    @classmethod
    def parameter(cls, text: str) -> RdbmsError:
        """A parameter that cannot be sent."""
        return cls(PARAMETER_FAILURE, text, happened=False)

    @classmethod
    def response(cls, text: str) -> RdbmsError:
        """A result that the interface cannot express."""
        return cls(RESPONSE_FAILURE, text)

    @classmethod
    def unreachable(cls, text: str) -> RdbmsError:
        """There is no connection, and nothing was sent."""
        return cls(CONNECTION_FAILURE, text, transient=True, happened=False)


def unsupported_column(name: str) -> RdbmsError:
    """A column whose type the interface does not have."""
    return RdbmsError.response(f"Column type '{name}' is not supported")
