"""Minor units of currencies: how many decimals a sum has (ISO 4217), and sums as people write them.

Money is an integer of minor units everywhere else. Knows no rates of exchange.
"""

from decimal import ROUND_HALF_EVEN, Decimal

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()  # noqa: SIM905
_MOST_DIGITS = 15
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND".split()  # noqa: SIM905


def decimals(currency: str) -> int:
    """Return how many decimals a sum in that currency has: 2 for 分 and cents, 0 for yen. A currency unknown has 2."""
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def minor_of(sum_: str, currency: str) -> int:
    """Return a sum such as "1,299.5" in minor units, halves to the even one.

    Raises ValueError if it is no number, or one that no money comes to.
    """
    try:
        value = Decimal(sum_.replace(",", ""))
    except ArithmeticError as error:
        raise ValueError(f"{sum_!r} is no sum") from error
    if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
        raise ValueError(f"{sum_!r} is no sum")
    return int(value.scaleb(decimals(currency)).to_integral_value(ROUND_HALF_EVEN))


def written(minor: int, currency: str) -> str:
    """Return minor units with the decimals of the currency: "1,299.50" for CNY, "1,300" for JPY."""
    places = decimals(currency)
    return f"{Decimal(minor).scaleb(-places):,.{places}f}"
