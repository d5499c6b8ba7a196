/* SPDX-License-Identifier: MIT */
#include "plugin.h"

static struct atfork_hook called;

static void prepare(void *data) {
  called.prepare(data);
}
static void parent(void *data) {
  called.parent(data);
}
static void child(void *data) {
  called.child(data);
}
static int try_prepare(void *data) {
  return called.try_prepare(data);
}
static void wait(void *data) {
  called.wait(data);
}
static void destroy(void *data) {
  called.destroy(data);
}

static const struct plugin plugin = {
    .callbacks =
        {
            .prepare = prepare,
            .parent = parent,
            .child = child,
            .try_prepare = try_prepare,
            .wait = wait,
            .destroy = destroy,
        },
    .dso = ATFORK_MODULE,
};

const struct plugin *plugin_here(const struct atfork_hook *programs) {
  called = *programs;
  return &plugin;
}
