/* SPDX-License-Identifier: MIT */
/* What is wrong with forks themselves, and with their handlers. */
#include "doctor.h"

static void find_missed(struct doctor *doctor, const struct fork_event *fork) {
  if (fork->child == NULL || !how_bypasses(fork->how) || !doctor_goes_on(fork->child)) return;
  guint handlers = fork->handlers;
  if (handlers == 0) return;
  struct finding *finding = finding_new(
      "missed-handler", fork->child, "%s made this process, and %u fork %s did not run; then it called %s()",
      how_name(fork->how), handlers, handlers == 1 ? "handler" : "handlers", fork->child->went_on_by);
  finding_locate(finding, "the fork", fork->parent, &fork->stack);
  findings_add(doctor->findings, finding);
}

/* vfork() runs no handlers, and _Fork() is made for this. */
static void find_in_signal(struct doctor *doctor, const struct fork_event *fork) {
  if (!fork->in_signal || how_bypasses(fork->how) || fork->how == HOW_VFORK || fork->error != 0) return;
  struct finding *finding =
      finding_new("signal-fork", fork->parent, "%s() was called in a signal handler", how_name(fork->how));
  finding_locate(finding, "the fork", fork->parent, &fork->stack);
  findings_add(doctor->findings, finding);
}

static void find_in_callback(struct doctor *doctor, const struct fork_event *fork, const struct callback *callback) {
  static const char *const phases[] = {"prepare", "parent", "child"};
  const char *kind = callback->kind == CALLBACK_HOOK ? "hook" : "handler";
  if (callback->unloaded) {
    struct finding *finding =
        finding_new("unloaded-handler", callback->process, "the %s %s of %s is called, and its code is unmapped",
                    phases[callback->phase], kind, *callback->object == '\0' ? "an object" : callback->object);
    finding_locate(finding, "the fork", fork->parent, &fork->stack);
    findings_add(doctor->findings, finding);
  }
  if (callback->nanoseconds < doctor->slow) return;
  struct finding *finding =
      finding_new("slow-handler", callback->process, "the %s %s of %s took %.1f ms", phases[callback->phase], kind,
                  *callback->object == '\0' ? "an object" : callback->object, (double)callback->nanoseconds / 1e6);
  finding_locate_at(finding, "the handler", callback->process, callback->function);
  finding_locate(finding, "the fork", fork->parent, &fork->stack);
  findings_add(doctor->findings, finding);
}

static void find_in_fork(struct doctor *doctor, const struct fork_event *fork) {
  find_missed(doctor, fork);
  find_in_signal(doctor, fork);
  for (guint i = 0; i < fork->callbacks->len; i++)
    find_in_callback(doctor, fork, g_ptr_array_index(fork->callbacks, i));
}

void doctor_forks_finish(struct doctor *doctor) {
  for (guint i = 0; i < doctor->model->processes->len; i++) {
    struct process *process = g_ptr_array_index(doctor->model->processes, i);
    for (guint k = 0; k < process->forks->len; k++) find_in_fork(doctor, g_ptr_array_index(process->forks, k));
  }
}
