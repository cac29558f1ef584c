"""The privacy officer's desk: accesses on a professional's own word, looked at one by one."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import reviews as shapes

reviews = APIBlueprint("reviews", __name__, url_prefix="/agency/reviews")

ONE = "/<uuid:review_id>"
_WHO = {"professional": "professional_id", "establishment": "establishment_id"}


@operation(
    reviews, "GET", "", summary="List reviews", answer=shapes.Reviews, query=shapes.ReviewQuery, paged=True,
    refuses=("not_allowed",),
)  # fmt: skip
def list_reviews(query: dict[str, Any]) -> Any:
    """Emergency and responsibility accesses, the one that waits longest first. For the agency's privacy officers."""
    answer = ask("dossier", "reviews", **query)
    return {**answer, "reviews": named(answer["reviews"], **_WHO)}


@operation(
    reviews, "GET", "/statistics", summary="Count normal and emergency accesses", answer=shapes.Statistics,
    query=shapes.StatisticsQuery, paged=True, refuses=("not_allowed",),
)  # fmt: skip
def count_reviews(query: dict[str, Any]) -> Any:
    """Per professional who came on their own word in these days: grounds that people gave them, against emergencies."""
    page = {"limit": query["limit"], "cursor": query.get("cursor")}
    answer = ask("dossier", "review_statistics", since=query["from"], until=query["to"], **page)
    return {**answer, "professionals": named(answer["professionals"], professional="professional_id")}


@operation(
    reviews, "GET", ONE, summary="Read a review", answer=shapes.Review, tagged=True,
    refuses=("not_allowed", "review_not_found"),
)  # fmt: skip
def read_review(review_id: str) -> Any:
    """Who had access, where from, and what they stated."""
    return _one(ask("dossier", "review", review_id=review_id))


@operation(
    reviews, "POST", f"{ONE}/taking", summary="Take a review", answer=shapes.Review, once=True, conditional=True,
    tagged=True, refuses=("not_allowed", "review_not_found", "review_taken", "review_settled"),
)  # fmt: skip
def take_review(review_id: str, version: int | None) -> Any:
    """In hand of this officer from now on; of two at once one takes it. Nobody reviews an access of their own."""
    return _one(ask("dossier", "take_review", review_id=review_id, version=version))


@operation(
    reviews, "DELETE", f"{ONE}/taking", summary="Give a review back", answer=shapes.Review, once=True,
    conditional=True, tagged=True, refuses=("not_allowed", "review_not_found", "review_not_taken", "review_settled"),
)  # fmt: skip
def release_review(review_id: str, version: int | None) -> Any:
    """One's own, or that of an officer who is away: it waits again."""
    return _one(ask("dossier", "release_review", review_id=review_id, version=version))


@operation(
    reviews, "POST", f"{ONE}/verdict", summary="Settle a review", answer=shapes.Review, body=shapes.VerdictGiven,
    once=True, conditional=True, tagged=True,
    refuses=("not_allowed", "review_not_found", "review_not_taken", "review_taken", "review_settled"),
)  # fmt: skip
def settle_review(review_id: str, version: int | None, body: dict[str, Any]) -> Any:
    """By the officer who took it, for good; the holder sees beside the mandate how it was found."""
    return _one(ask("dossier", "settle_review", review_id=review_id, version=version, **body))


def _one(review: dict[str, Any]) -> dict[str, Any]:
    return named([review], **_WHO)[0]
