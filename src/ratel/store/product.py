"""Products."""

from ratel.core.product import Product
from ratel.store.resource import Resource, Row

INSERT = """
    INSERT INTO products (id, name, create_time, update_time) VALUES ($1, $2, $3, $3)
    ON CONFLICT (id) DO NOTHING RETURNING true
"""
SELECT = "SELECT * FROM products WHERE id = $1"
PAGE = "SELECT * FROM products WHERE id > $1 ORDER BY id LIMIT $2"
UPDATE = "UPDATE products SET name = $2, update_time = $3, etag = nextval('etags') WHERE id = $1"
DELETE = "DELETE FROM products WHERE id = $1"


def _to_row(product: Product) -> tuple[object, ...]:
    return product.id, product.name


def _from_row(row: Row) -> Product:
    return Product(row["id"], row["name"])


PRODUCTS = Resource("product", INSERT, SELECT, PAGE, UPDATE, DELETE, _to_row, _to_row, _from_row)
