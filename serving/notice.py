"""The reasoned notice (处理结果): facts, evidence, rule step, reason and remedy of a decision, said to both parties.

A draft for the arbitrator to edit. It names the machine nowhere: the decision is a person's. The steps of the burden of
proof are told with their outcome only where the suggestion was on the screen of whoever decided. Knows no storage.
"""

from collections.abc import Sequence

from models.domain import Case, Decision, Suggestion
from models.rule_pack import RulePack
from models.vocabulary import Ruling, Stage
from serving.desk_records import NoticeText
from serving.words import LANGUAGES, Words, moment, money, words

_OF_GOODS_SENT_BACK = (Ruling.RETURN_AND_REFUND, Ruling.REPLACE)


def write_notice(case: Case, decision: Decision, *, suggestion: Suggestion | None, pack: RulePack) -> NoticeText:
    """Return the notice in both languages.

    suggestion : the one whose ledger is told; None where none was on the screen
    """
    written = {
        language: _asking(case, decision, t)
        if decision.request is not None
        else _ruling(case, decision, suggestion, pack, t)
        for language in LANGUAGES
        for t in (words(language),)
    }
    return NoticeText(zh=written["zh"], en=written["en"])


def _asking(case: Case, decision: Decision, t: Words) -> str:
    request = decision.request
    if request is None:
        raise ValueError("the decision asks for nothing")
    due = moment(request.due_at.astimezone(case.opened_at.tzinfo)) if request.due_at else t("notice.due_unset")
    return "\n\n".join(
        (
            _heading(case, decision, t, title=t("notice.title_request")),
            t("notice.asks").format(party=t(f"party.{request.party}")),
            request.text.zh if t.language == "zh" else request.text.en,
            t("notice.due").format(due=due),
        )
    )


def _ruling(case: Case, decision: Decision, suggestion: Suggestion | None, pack: RulePack, t: Words) -> str:
    sections = [
        (t("notice.facts"), _facts(case, t)),
        (t("notice.evidence"), _evidence(case, t)),
        (t("notice.rules"), _rules(case, suggestion, pack, t)),
        (t("notice.reason"), [line for line in (decision.reason, decision.distinguishes) if line.strip()]),
        (t("notice.remedy"), _remedy(case, decision, t)),
    ]
    told = [f"{title}\n" + "\n".join(f"- {line}" for line in lines) for title, lines in sections if lines]
    return "\n\n".join((_heading(case, decision, t, title=t("notice.title")), *told, _appeal(decision, pack, t)))


def _heading(case: Case, decision: Decision, t: Words, *, title: str) -> str:
    return f"{title}\n" + t("notice.heading").format(
        case=case.case_id, order=case.order.order_id, goods=case.listing.title or t("case.none")
    )


def _facts(case: Case, t: Words) -> list[str]:
    order = case.order
    facts = [
        t("notice.claimed").format(claim=t(f"claim.{case.claim}"), requested=t(f"ruling.{case.requested}")),
        t("notice.paid").format(amount=money(order.paid_minor, order.currency), goods=t(f"goods.{order.goods_state}")),
    ]
    for event in case.logistics:
        if event.event in ("delivered", "signed", "exception", "return_signed"):
            who = f" ({t(f'by.{event.by}')})" if event.by else ""
            facts.append(f"{moment(event.at)} {t(f'event.{event.event}')}{who}")
    facts += [
        f"{moment(step.at)} {t(f'party.{step.by}') if step.by else ''}{t.gap}{t(f'event.{step.event}')}".replace(
            "  ", " "
        )
        for step in case.timeline
    ]
    return facts


def _evidence(case: Case, t: Words) -> list[str]:
    told = [t("notice.chat").format(n=len(case.chat))] if case.chat else []
    for party in ("buyer", "seller"):
        photos = [t(f"role.{photo.role}") for photo in case.photos if photo.filed_by == party]
        papers = [t(f"document.{paper.kind}") for paper in case.documents if paper.filed_by == party]
        filed = _counted(photos, t) + _counted(papers, t)
        if filed:
            told.append(t("notice.filed").format(party=t(f"party.{party}"), what=t("notice.comma").join(filed)))
    return told


def _counted(names: Sequence[str], t: Words) -> list[str]:
    return [
        f"{name}{t.gap}x{t.gap}{names.count(name)}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    ]


def _rules(case: Case, suggestion: Suggestion | None, pack: RulePack, t: Words) -> list[str]:
    told = [t("notice.pack").format(pack=pack.name)]
    if suggestion is not None:
        told += [
            t("notice.step").format(
                party=t(f"party.{step.party}"), proof=t(f"proof.{step.must_prove}"), status=t(f"step.{step.status}")
            )
            for step in suggestion.ledger
            if step.status != "not_reached"
        ]
    return told


def _remedy(case: Case, decision: Decision, t: Words) -> list[str]:
    remedy = decision.remedy
    told = [
        t(f"notice.orders_{decision.ruling}"),
        f"{t('suggestion.responsible')}{t.colon}{t(f'responsible.{decision.responsible}')}",
    ]
    if remedy.refund_minor is not None:
        told.append(f"{t('suggestion.refund')}{t.colon}{money(remedy.refund_minor, case.order.currency)}")
    for name, payer in (("outbound", remedy.outbound_freight), ("return", remedy.return_freight)):
        if payer is not None and (name == "outbound" or decision.ruling in _OF_GOODS_SENT_BACK):
            told.append(t("notice.freight").format(which=t(f"suggestion.{name}"), payer=t(f"party.{payer}")))
    return told


def _appeal(decision: Decision, pack: RulePack, t: Words) -> str:
    if decision.stage == Stage.APPEAL:
        return t("notice.final")
    clock = pack.clocks_hours.get("appeal")
    return t("notice.appeal").format(days=round(clock.hours / 24)) if clock is not None else t("notice.appeal_unset")
