/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "fork.h"
#include "hook.h"
#include "once.h"
#include "os.h"
#include "process.h"
#include "self.h"
#ifndef _WIN32
#include "mutex.h"
#endif

const struct service *_Atomic atfork_service_chosen;

static const struct service own_service = {
    .version = SERVICE_TEXT(ATFORK_VERSION_MAJOR) "." SERVICE_TEXT(ATFORK_VERSION_MINOR) "." SERVICE_TEXT(
        ATFORK_VERSION_MICRO),
    .size = sizeof own_service,
    .register_hook = atfork_hook_register,
#ifndef _WIN32
    .register_mutex = atfork_mutex_register,
#endif
    .unregister = atfork_hook_unregister,
    .foreach = atfork_hook_visit,
    .generation = atfork_self_generation,
    .lineage = atfork_self_lineage,
    .place = atfork_self_place,
    .run = atfork_self_run,
    .seed = atfork_self_seed,
    .seed_bytes = atfork_self_seed_bytes,
    .poll = atfork_self_poll,
    .once = atfork_once_run,
    .token = atfork_self_token,
    .child_token = atfork_self_child_token,
    .spawned = atfork_self_spawned,
    .adopt = atfork_self_adopt,
    .launcher = atfork_self_launcher,
    .mark = atfork_self_mark,
};

/* Where forks do not nest, there can be only one set of fork handlers: it is registered now. */
static void load(void) {
  atfork_process_loaded();
  if (atfork_os_nests_forks())
    atfork_process_number_forks();
  else
    atfork_fork_enter();
}

/* Release pairs with the acquire in another copy's atfork_os_serving(). */
const struct service *atfork_service_choose(void) {
  const struct service *chosen = atfork_os_serving(&own_service);
  if (chosen == &own_service) load();
  atomic_store_explicit(&atfork_service_chosen, chosen, memory_order_release);
  return chosen;
}

/* Runs before the constructors of a program with a static copy, as they may fork. */
__attribute__((constructor(101))) static void on_load(void) {
  service();
}
