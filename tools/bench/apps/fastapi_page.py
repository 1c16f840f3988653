# SPDX-License-Identifier: MIT
"""fastapi_page - JSON from FastAPI: the query of django_page, through a pool
of asyncpg, and models that say what leaves.

The connection's parameters come from libpq's own variables (PGHOST, ...).
"""
import contextlib

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel

QUERY = ('SELECT id, name, price, stock FROM bench_item WHERE stock >= $1 '
         'ORDER BY stock, id LIMIT 20')


class Item(BaseModel):
    id: int
    name: str
    price: float
    stock: int


@contextlib.asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(min_size=8, max_size=8) as pool:
        yield {'pool': pool}


app = FastAPI(lifespan=lifespan)


@app.get('/')
async def items(request: Request) -> list[Item]:
    async with request.state.pool.acquire() as connection:
        rows = await connection.fetch(QUERY, 40)
    return [Item(**row) for row in rows]
