# SPDX-License-Identifier: MIT
"""gunicorn's configuration, which it reads again at each reload."""
from __future__ import annotations

import random
from typing import Any

import atfork
import web_app

workers = 2


def reseed() -> None:
    random.seed(atfork.seed(web_app.BASE, bits=256))


# gunicorn seeds `random` after this hook, in each worker.
atfork.register(key="gunicorn_conf.child", child=lambda: (web_app.ran.append("key"), reseed()))
atfork.register(name="without a key", child=lambda: web_app.ran.append("none"))


def post_fork(server: Any, worker: Any) -> None:
    web_app.ran.append(f"hook {random.random() == random.Random(atfork.seed(web_app.BASE, bits=256)).random()}")


def post_worker_init(worker: Any) -> None:
    web_app.ran.append(f"init {random.random() == random.Random(atfork.seed(web_app.BASE, bits=256)).random()}")
    reseed()
    web_app.first.append(random.random())
