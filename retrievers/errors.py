"""Errors of retrievers that a user can mend."""


class RetrieverError(Exception):
    """What is wrong (`str(error)`) and what to type next (`error.hint`)."""

    def __init__(self, problem: str, hint: str = ""):
        super().__init__(problem)
        self.hint = hint
