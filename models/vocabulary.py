"""The closed vocabularies of the field: claims, rulings, events, roles, statement labels.

The English terms are the values in code and JSON; the Chinese terms stand beside them where a page shows them.
"""

from enum import StrEnum


class Platform(StrEnum):
    TAOBAO = "taobao"
    TMALL = "tmall"
    JD = "jd"
    PDD = "pdd"
    XIANYU = "xianyu"
    EBAY = "ebay"
    AMAZON = "amazon"
    OTHER = "other"


class Claim(StrEnum):
    """What the buyer alleges (纠纷类型)."""

    DAMAGED = "damaged"
    NOT_AS_DESCRIBED = "not_as_described"
    QUALITY_DEFECT = "quality_defect"
    MISSING_ITEM = "missing_item"
    NOT_RECEIVED = "not_received"
    RETURN_NOT_REFUNDED = "return_not_refunded"
    COUNTERFEIT = "counterfeit"
    CHANGE_OF_MIND = "change_of_mind"


class Ruling(StrEnum):
    """What is ordered (处理结果). `request_evidence` is not final: it says who must file what."""

    REFUND = "refund"
    RETURN_AND_REFUND = "return_and_refund"
    PARTIAL_REFUND = "partial_refund"
    REPLACE = "replace"
    DISMISS = "dismiss"
    REQUEST_EVIDENCE = "request_evidence"


class Responsible(StrEnum):
    """Who caused it, as far as shown (责任方)."""

    SELLER = "seller"
    BUYER = "buyer"
    CARRIER = "carrier"
    BOTH = "both"
    UNDETERMINED = "undetermined"


class Speaker(StrEnum):
    BUYER = "buyer"
    SELLER = "seller"
    PLATFORM = "platform"
    SYSTEM = "system"


class Party(StrEnum):
    BUYER = "buyer"
    SELLER = "seller"


class GoodsState(StrEnum):
    NOT_RECEIVED = "not_received"
    RECEIVED = "received"
    USED = "used"
    RETURNED = "returned"


class SignedBy(StrEnum):
    BUYER = "buyer"
    FAMILY = "family"
    NEIGHBOUR = "neighbour"
    LOCKER = "locker"
    STATION = "station"
    UNKNOWN = "unknown"


class LogisticsEventKind(StrEnum):
    SHIPPED = "shipped"
    IN_TRANSIT = "in_transit"
    EXCEPTION = "exception"
    DELIVERED = "delivered"
    SIGNED = "signed"
    RETURN_SHIPPED = "return_shipped"
    RETURN_SIGNED = "return_signed"


class ProcedureEventKind(StrEnum):
    REFUND_APPLIED = "refund_applied"
    AGREED = "agreed"
    REFUSED = "refused"
    OFFER = "offer"
    EVIDENCE_REQUESTED = "evidence_requested"
    EVIDENCE_FILED = "evidence_filed"
    PLATFORM_STEPPED_IN = "platform_stepped_in"
    DEADLINE_MISSED = "deadline_missed"
    WITHDRAWN = "withdrawn"


class PhotoRole(StrEnum):
    LISTING = "listing"
    RECEIVED = "received"
    PACKAGING = "packaging"
    WAYBILL = "waybill"
    BEFORE_SHIPPING = "before_shipping"
    RETURNED = "returned"
    SCREENSHOT = "screenshot"
    OTHER = "other"


class DocumentKind(StrEnum):
    INVOICE = "invoice"
    PROVENANCE = "provenance"
    INSPECTION_REPORT = "inspection_report"
    CARRIER_STATEMENT = "carrier_statement"
    VIDEO = "video"
    OTHER = "other"


class StatementLabel(StrEnum):
    """What a chat message states; see datasets/label-guide.md."""

    CLAIMS_DAMAGE = "claims_damage"
    CLAIMS_MISMATCH = "claims_mismatch"
    CLAIMS_DEFECT = "claims_defect"
    CLAIMS_MISSING = "claims_missing"
    CLAIMS_NOT_RECEIVED = "claims_not_received"
    CLAIMS_COUNTERFEIT = "claims_counterfeit"
    CHANGED_MIND = "changed_mind"
    ADMITS_USE_OR_FAULT = "admits_use_or_fault"
    ACCEPTS_OFFER = "accepts_offer"
    FILES_EVIDENCE = "files_evidence"
    ADMITS_FAULT = "admits_fault"
    DENIES_FAULT = "denies_fault"
    BLAMES_CARRIER = "blames_carrier"
    BLAMES_BUYER = "blames_buyer"
    OFFERS_REFUND = "offers_refund"
    OFFERS_RETURN = "offers_return"
    OFFERS_PARTIAL = "offers_partial"
    OFFERS_REPLACEMENT = "offers_replacement"
    REFUSES = "refuses"
    ASKS_EVIDENCE = "asks_evidence"
    ABUSIVE = "abusive"


LABELS_OF_SPEAKER: dict[Speaker, tuple[StatementLabel, ...]] = {
    Speaker.BUYER: (*list(StatementLabel)[:10], StatementLabel.ABUSIVE),
    Speaker.SELLER: (*list(StatementLabel)[10:20], StatementLabel.ABUSIVE),
    Speaker.PLATFORM: (),
    Speaker.SYSTEM: (),
}


class AbstainReason(StrEnum):
    SET_TOO_LARGE = "set_too_large"
    EVIDENCE_MISSING = "evidence_missing"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    UNREADABLE_EVIDENCE = "unreadable_evidence"


class Stage(StrEnum):
    """The tier a decision belongs to: 初审, 主管复审, 申诉."""

    FIRST_REVIEW = "first_review"
    LEAD_REVIEW = "lead_review"
    APPEAL = "appeal"
