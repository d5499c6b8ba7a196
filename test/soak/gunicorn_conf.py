# SPDX-License-Identifier: MIT
"""gunicorn's configuration, which it reads again at each reload: the hooks of workload.py are the master's."""
from __future__ import annotations

import workload

workers = 2
if workload.PROBE:
    import atfork

    atfork.register(key="gunicorn_conf", name="configuration", child=lambda: None)
