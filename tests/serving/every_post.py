"""Every POST of the API but signing in, once each, in an order in which all of them succeed."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from models.vocabulary import Platform
from serving.api.documents import EXAMPLE_CASE, EXAMPLE_DECISION, EXAMPLE_EVIDENCE
from serving.house import House
from serving.records import CaseKey, Role

API = "/api/v1"
ONE = f"{API}/cases/{{platform}}/{{case_id}}"

Send = Callable[..., httpx.Response]
"""(role, path template, content, **what stands in the template) -> the answer, of status below 300"""


def post_everything(house: House, send: Send) -> None:
    """Call `send` for each POST; the service needs a model and a registry whose second model may be promoted."""
    one, other, third = (EXAMPLE_CASE["case_id"], "TB-OTHER", "TB-THIRD")

    def on(case_id: str, role: Role, what: str, content: Any = None, **ids: str) -> None:
        send(role, f"{ONE}/{what}", content, platform="taobao", case_id=case_id, **ids)

    for case_id in (one, other, third):
        send(Role.SERVICE, f"{API}/cases", {**EXAMPLE_CASE, "case_id": case_id})
    on(one, Role.SERVICE, "evidence", EXAMPLE_EVIDENCE)
    on(one, Role.SERVICE, "photo-checks")
    on(one, Role.ARBITRATOR, "suggestion")
    send(Role.SERVICE, f"{API}/suggestions", EXAMPLE_CASE)
    on(one, Role.ARBITRATOR, "hold")
    send(Role.LEAD, f"{API}/desk/next")
    on(other, Role.ARBITRATOR, "skip", {"reason": "需要懂珠宝鉴定的同事"})
    on(third, Role.ARBITRATOR, "recusal", {"reason": "认识卖家"})
    said = {"ref": EXAMPLE_CASE["chat"][0]["message_id"], "label": "claims_damage"}
    on(one, Role.ARBITRATOR, "corrections", {"kind": "statement", "holds": False, **said})
    on(one, Role.ARBITRATOR, "decision", EXAMPLE_DECISION)
    on(one, Role.ARBITRATOR, "decision/withdraw", {"stage": "first_review", "reason": "看错了"})
    on(one, Role.ARBITRATOR, "decision", EXAMPLE_DECISION)
    notice = house.store.desk.notices(CaseKey(Platform.TAOBAO, one))[0].notice_id
    on(one, Role.ARBITRATOR, "notices/{notice_id}/send", notice_id=notice)
    on(one, Role.SERVICE, "appeal", {"filed_by": "seller", "reason": "有发货前视频"})
    send(Role.LEAD, f"{API}/assignments", {"people": ["test-arbitrator"], "at_most": 5, "preview": False})
    send(Role.LEAD, f"{API}/switches", {"claim": "counterfeit", "reason": "正在查"})
    send(Role.ENGINEER, f"{API}/models/{{number}}/promote", {"instead_of": 1, "reason": "更准"}, number="2")
    send(Role.ENGINEER, f"{API}/models/rollback", {"instead_of": 2, "reason": "改判变多"})
    asked = send(Role.ENGINEER, f"{API}/retrainings").json()["retraining_id"]
    send(Role.ENGINEER, f"{API}/retrainings/{{retraining_id}}/cancel", retraining_id=str(asked))
    rows = json.dumps({**EXAMPLE_CASE, "case_id": "TB-ROW"}).encode() + b"\n"
    job = send(Role.ENGINEER, f"{API}/backlogs", rows).json()["job_id"]
    send(Role.ENGINEER, f"{API}/backlogs/{{job_id}}/cancel", job_id=job)
    send(Role.ENGINEER, f"{API}/backlogs/{{job_id}}/resume", job_id=job)
