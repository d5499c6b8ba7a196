/* SPDX-License-Identifier: MIT */
/* What the doctor found: by which rule, in which process, and where. */
#ifndef ATFORK_FINDING_H
#define ATFORK_FINDING_H

#include "model.h"
#include "symbols.h"

enum severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };

struct rule {
  const char *id;
  enum severity severity;
  const char *why;  /* one sentence */
  const char *mend; /* one sentence */
};

extern const struct rule rules[];
extern const guint rules_count;

/* One stack of a finding. */
struct location {
  char *role;     /* "the lock was taken" */
  GArray *places; /* of struct place */
};

struct finding {
  const struct rule *rule;
  enum severity severity; /* the rule's, unless the finder sets another one */
  char *message;          /* what was seen: a sentence */
  struct process *process;
  GPtrArray *locations; /* of struct location */
  guint count;          /* alike */
};

struct findings {
  GPtrArray *all;          /* of struct finding, in the order in which they were found */
  GPtrArray *suppressions; /* of struct suppression */
  guint suppressed;
};

struct findings *findings_new(void);
void findings_free(struct findings *findings);

/* Reads lines "RULE PATTERN": RULE may be "*"; PATTERN, of shell wildcards, is for a function, an object's or a source
 * file's path of any stack.  FALSE, with an error that names the line: it cannot be read. */
gboolean findings_suppress(struct findings *findings, const char *path, GError **error);

/* A new finding, not yet in the list; `message` is a format. */
struct finding *finding_new(const char *rule, struct process *process, const char *message, ...) G_GNUC_PRINTF(3, 4);
void finding_locate(struct finding *finding, const char *role, const struct process *process,
                    const struct frames *frames);
void finding_locate_at(struct finding *finding, const char *role, const struct process *process, guint64 address);

void finding_free(struct finding *finding); /* one that is not entered */

/* Adds it to the list, and owns it from then on.  If it is like another one, or is suppressed, it is only counted, and
 * freed. */
void findings_add(struct findings *findings, struct finding *finding);

guint findings_count(const struct findings *findings, enum severity at_least);
const char *severity_name(enum severity severity);

#endif
