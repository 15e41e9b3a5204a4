"""The courier: delivers the outbox to a webhook, signed, again and again until the receiver says 2xx.

A delivery whose answer was lost is sent again under the same webhook-id: a receiver that keeps the ids it has dealt
with sees each message exactly once. Signed as Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature:
HMAC-SHA256). Any number of couriers may run. Knows nothing of what messages say.
"""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import httpx
import structlog

from models.errors import InputError
from serving.loop import Loop
from serving.store.outbox import Message, Outbox

_PREFIX = "whsec_"
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 3600.0
_PAUSE_S = 1.0

log = structlog.get_logger(__name__)


def sign(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the webhook-signature of a delivery."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def signing_key(secret: str) -> bytes:
    """Return the bytes to sign with: the secret's own or, of one that Standard Webhooks made, those behind `whsec_`.

    Raises InputError when those aren't base64.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise InputError(f"must be base64 behind {_PREFIX}", field="webhook_secret") from error


class Courier(Loop):
    """key : to sign with; attempts : before a message is given up; timeout_s : for one delivery

    first_retry_s doubles with each attempt
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        url: str,
        key: bytes,
        attempts: int,
        timeout_s: float,
        first_retry_s: float = _FIRST_RETRY_S,
        pause_s: float = _PAUSE_S,
    ) -> None:
        super().__init__(name="courier", pause_s=pause_s)
        self.outbox = outbox
        self.url = url
        self.key = key
        self.attempts = attempts
        self.timeout_s = timeout_s
        self.first_retry_s = first_retry_s

    def work_once(self) -> bool:
        return self.deliver_one()

    def deliver_one(self) -> bool:
        """Try one message that is due; return whether there was one."""
        message = self.outbox.take(hold=timedelta(seconds=2 * self.timeout_s + 30))
        if message is None:
            return False
        problem = self._send(message)
        if problem is None:
            self.outbox.delivered(message)
            return True
        wait = self._wait(message)
        log.warning("delivery_failed", message=message.message_id, attempt=message.attempts, problem=problem)
        self.outbox.put_back(message, problem=problem, wait=wait)
        return True

    def _send(self, message: Message) -> str | None:
        """Return what went wrong, None if the receiver took the message. What it says beside its status isn't read."""
        body = json.dumps(
            {
                "id": message.message_id,
                "type": message.kind,
                "subject": message.subject,
                "created_at": message.created_at.isoformat(),
                "data": json.loads(message.payload),
            },
            ensure_ascii=False,
        ).encode()
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self.key, message_id=message.message_id, timestamp=timestamp, body=body),
        }
        try:
            with httpx.stream("POST", self.url, content=body, headers=headers, timeout=self.timeout_s) as answer:
                return None if answer.is_success else f"the receiver answered {answer.status_code}"
        except httpx.HTTPError as error:
            return type(error).__name__

    def _wait(self, message: Message) -> timedelta | None:
        if message.attempts >= self.attempts:
            return None
        return timedelta(seconds=min(self.first_retry_s * 2 ** (message.attempts - 1), _LONGEST_RETRY_S))
