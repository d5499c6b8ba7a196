/* SPDX-License-Identifier: MIT */
/* JSON, written piece by piece: a member of an object has a name, one of an array has NULL. */
#ifndef ATFORK_JSON_H
#define ATFORK_JSON_H

#include <glib.h>

struct json {
  GString *text;
  gboolean follows; /* a comma has to come before the next value */
  guint depth;
};

void json_begin(struct json *json, const char *name, char bracket); /* '{' or '[' */
void json_end(struct json *json, char bracket);                     /* '}' or ']' */
void json_string(struct json *json, const char *name,
                 const char *value); /* NULL: null.  What is no UTF-8 is replaced */
void json_integer(struct json *json, const char *name, gint64 value);
void json_number(struct json *json, const char *name, double value);
void json_boolean(struct json *json, const char *name, gboolean value);

#endif
