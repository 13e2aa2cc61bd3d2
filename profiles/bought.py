"""What was bought and given back, each once however often it was told: one rule, for every sum of money."""

from collections.abc import Iterable
from uuid import UUID

from taxonomy.released import named

# of what was bought: one where it is not said, or not as a number
_QUANTITY = "CASE WHEN jsonb_typeof(attributes->'quantity') = 'number' THEN (attributes->>'quantity')::numeric ELSE 1 END"
_IS_LINE = "(refund_id IS NULL AND (product IS NOT NULL OR tag_id = %(refund)s))"


def bought(events: str, *, customer: str) -> str:
    """SQL of the purchases and refunds among `events`, FROM on to a condition: id, tag_id, order_id, occurred_at, currency or "", amount, counts.

    `counts`: whether its amount is summed. Its amount is the line's, else price times quantity. What names a product is a line: a like
    one at the same moment is told again. What names none tells its whole order and the newest counts,
    as of a refund with an id, by its products if it names some; one without an id is like a line. Of several sources the first that told an order counts. `customer`: SQL of whose an event is.
    Values to give: purchase, refund, separate (`separate_sources`).
    """
    return f"""
        SELECT id, tag_id, order_id, occurred_at, currency, amount, amount IS NOT NULL AND (order_id IS NULL OR source_id
            = first_value(source_id) OVER (PARTITION BY customer_id, tag_id, order_id ORDER BY id) AND row_number() OVER (
            PARTITION BY customer_id, tag_id, source_id, order_id, refund_id, product, amount IS NULL,
                CASE WHEN source_id = ANY(%(separate)s) AND refund_id IS NULL THEN id END,
                CASE WHEN {_IS_LINE} THEN occurred_at END, CASE WHEN {_IS_LINE} THEN amount END, CASE WHEN {_IS_LINE} THEN currency END
            ORDER BY occurred_at DESC, id DESC) = 1) AS counts
        FROM (
            SELECT event.id, event.tag_id, event.source_id, event.occurred_at, {customer} AS customer_id,
                attributes->>'order_id' AS order_id, attributes->>'refund_id' AS refund_id,
                coalesce(attributes->>'product_id', attributes->>'product_name') AS product,
                coalesce(attributes->'amount'->>'currency', attributes->'price'->>'currency', '') AS currency,
                coalesce((attributes->'amount'->>'amount')::numeric, (attributes->'price'->>'amount')::numeric * {_QUANTITY}) AS amount
            {events} AND standing = 1 AND event.tag_id IN (%(purchase)s, %(refund)s)
        ) AS told
    """


def separate_sources(sources: Iterable[UUID]) -> list[UUID]:
    """Of these, the sources that say that identical rows are separate."""
    return [pk for pk, one in named("source", sources).items() if pk is not None and one.definition.get("separate_rows")]
