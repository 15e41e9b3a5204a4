"""The pages' routes, put together. Each page group has a file of its own."""

from fastapi import APIRouter

from serving.web import desk, lead, models, photo_checks, queue_page, sign_in

router = APIRouter(include_in_schema=False)
router.include_router(sign_in.router)
router.include_router(queue_page.router)
router.include_router(lead.router)
router.include_router(models.router)
router.include_router(photo_checks.router)
router.include_router(desk.router)
