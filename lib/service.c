/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "hook.h"
#include "once.h"
#include "os.h"
#include "process.h"
#include "self.h"
#ifndef _WIN32
#include "mutex.h"
#endif

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const struct service *_Atomic service_chosen;

static const struct service own = {
    .version = TEXT(ATFORK_VERSION_MAJOR) "." TEXT(ATFORK_VERSION_MINOR) "." TEXT(ATFORK_VERSION_MICRO),
    .register_hook = hook_register,
#ifndef _WIN32
    .register_mutex = mutex_register,
#endif
    .unregister = hook_unregister,
    .foreach = hook_visit,
    .generation = self_generation,
    .lineage = self_lineage,
    .seed = self_seed,
    .poll = self_poll,
    .once = once_run,
    .token = self_token,
    .spawned = self_spawned,
    .mark = self_mark,
};

/* Release pairs with the acquire in another copy's os_serving(). */
const struct service *service_choose(void) {
  const struct service *chosen = os_serving(&own);
  if (chosen == &own) process_loaded();
  atomic_store_explicit(&service_chosen, chosen, memory_order_release);
  return chosen;
}

/* Before all constructors of a program that has the library in it, as these may fork. */
__attribute__((constructor(101))) static void on_load(void) {
  service();
}
