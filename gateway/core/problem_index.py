"""All problems by their slugs, and what their pages say."""

from gateway.core.errors import (
    AlreadyConcluded,
    ExternalIdReused,
    Forbidden,
    InProgress,
    Internal,
    InvalidInvoice,
    InvalidRequest,
    JournalUnavailable,
    MalformedJson,
    MethodNotAllowed,
    NoRoute,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Problem,
    RateLimited,
    Rejected,
    RequestTimeout,
    TooLarge,
    TotalsMismatch,
    Unauthenticated,
    UnsupportedMediaType,
    Untranslatable,
    UpstreamUnavailable,
)

PROBLEMS: dict[str, type[Problem]] = {
    problem.slug: problem
    for problem in (
        MalformedJson,
        Unauthenticated,
        Forbidden,
        NotFound,
        InvalidRequest,
        MethodNotAllowed,
        RequestTimeout,
        InProgress,
        AlreadyConcluded,
        TooLarge,
        UnsupportedMediaType,
        InvalidInvoice,
        TotalsMismatch,
        ExternalIdReused,
        NoRoute,
        Untranslatable,
        Rejected,
        RateLimited,
        UpstreamUnavailable,
        Overloaded,
        JournalUnavailable,
        OutcomeUnknown,
        Internal,
    )
}


def title(problem: type[Problem]) -> str:
    """The problem's title: the first line of its docstring, without the full stop."""
    return (problem.__doc__ or "").partition("\n")[0].rstrip(".")


def explanation(problem: type[Problem]) -> str:
    """What the problem's page says below the title: the rest of its docstring, one paragraph a line."""
    return " ".join((problem.__doc__ or "").partition("\n")[2].split())
