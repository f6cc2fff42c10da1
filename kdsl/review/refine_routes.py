"""The route for refining a rule: its best variants, each with a form that saves it as any edit is saved."""

from fastapi import APIRouter
from starlette.responses import Response

from kdsl.mining.edits import edit_words
from kdsl.review.condition_form import rows_of
from kdsl.review.page import Asked, KnownTask
from kdsl.review.queue import Query
from kdsl.review.refining import variants_of

router = APIRouter(prefix="/t/{task}")


@router.get("/rules/{id}/refine")
def refine(call: Asked, task: KnownTask, id: str) -> Response:
    stored = call.site.store.get(task, id)
    found = variants_of(call.site, stored)
    variants = [
        (each, edit_words(each.edits, call.visitor.language), rows_of(each.conditions)) for each in found.variants
    ]
    return call.render(
        "refine.html", task=task, stored=stored, found=found, variants=variants,
        query=Query.of(call.request.query_params),
    )  # fmt: skip
