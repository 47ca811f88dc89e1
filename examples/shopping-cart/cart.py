"""A shopping cart: ordinary Python, whose variables last as long as the customer wants.

`make examples` compiles it into a component; the module `wit_world` is generated from cart.wit then.
"""

import uuid

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.cart import Item, Order

items: dict[str, Item] = {}


class Cart(exports.Cart):
    """The exported interface."""

    def add(self, item: Item) -> list[Item]:
        """Put an item in; gives what is in the cart now."""
        known = items.get(item.product)
        quantity = item.quantity + (0 if known is None else known.quantity)
        items[item.product] = Item(item.product, item.price, quantity)
        return list(items.values())

    def remove(self, product: str) -> bool:
        """Take a product out; whether it was there."""
        return items.pop(product, None) is not None

    def contents(self) -> list[Item]:
        """What is in the cart."""
        return list(items.values())

    def checkout(self) -> Order:
        """Order everything."""
        if not items:
            raise Err("the cart is empty")
        ordered = list(items.values())
        items.clear()
        total = round(sum(item.price * item.quantity for item in ordered), 2)
        return Order(str(uuid.uuid4()), ordered, total)
