#!/bin/sh
# SPDX-License-Identifier: MIT
# After joyent/libuv#997: make with two jobs, and a make within.
# finds: nothing
exec make -s -j2 -f "${0%/*}/jobs.mk"
