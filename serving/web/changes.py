"""What is new in a version of a case against one that was read before. Knows no page."""

from models.domain import Case, Frozen


class Changes(Frozen):
    """Ids of what was added, as the page names them; `altered` says that something else changed as well."""

    messages: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    altered: bool = False

    @property
    def any(self) -> bool:
        return bool(self.messages or self.photos or self.documents or self.events or self.altered)


def changes(old: Case, new: Case, *, new_files: frozenset[str] = frozenset()) -> Changes:
    """Return what `new` has and `old` had not. new_files : photos whose bytes arrived in between"""
    parts = ("chat", "photos", "documents", "timeline", "logistics")
    rest = {name for name in Case.model_fields if name not in parts}
    known_photos = {photo.photo_id for photo in old.photos}
    return Changes(
        messages=tuple(m.message_id for m in new.chat if m not in old.chat),
        photos=tuple(p.photo_id for p in new.photos if p.photo_id not in known_photos or p.photo_id in new_files),
        documents=tuple(d.document_id for d in new.documents if d not in old.documents),
        events=tuple(f"timeline.{n}" for n, step in enumerate(new.timeline) if step not in old.timeline)
        + tuple(f"logistics.{n}" for n, event in enumerate(new.logistics) if event not in old.logistics),
        altered=any(getattr(old, name) != getattr(new, name) for name in rest),
    )
