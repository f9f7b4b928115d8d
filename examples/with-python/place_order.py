"""An order, the event that tells of it and a command that follows from it, in one transaction of psycopg.

usage: DATABASE_URL=postgresql://... python place_order.py ORDER_ID CUSTOMER
"""

import json
import os
import sys

import psycopg


def place_order(connection: psycopg.Connection, order_id: str, customer: str) -> tuple[str, str]:
    data = json.dumps({"order_id": order_id, "customer": customer})
    with connection.transaction():
        connection.execute("insert into shop_order (id, customer) values (%s, %s)", (order_id, customer))
        (event,) = connection.execute(
            "select outbox_raise_event('OrderPlaced', 'order', %s, %s::json)", (order_id, data)
        ).fetchone()
        (command,) = connection.execute(
            "select outbox_process_command('PackOrder', 'parcel', %s::json, %s::jsonb)",
            (data, json.dumps({"idempotency_key": order_id})),
        ).fetchone()
    return event, command


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        print(*place_order(connection, sys.argv[1], sys.argv[2]), sep="\n")
