/* SPDX-License-Identifier: MIT */
#include "json.h"

static void quote(GString *text, const char *value) {
  g_autofree char *valid = g_utf8_make_valid(value, -1);
  g_string_append_c(text, '"');
  for (const char *at = valid; *at != '\0'; at++) {
    if (*at == '"' || *at == '\\')
      g_string_append_printf(text, "\\%c", *at);
    else if (*at == '\n')
      g_string_append(text, "\\n");
    else if ((guchar)*at < 0x20)
      g_string_append_printf(text, "\\u%04x", (guint)(guchar)*at);
    else
      g_string_append_c(text, *at);
  }
  g_string_append_c(text, '"');
}

/* Writes what comes before a value: a comma, a new line, its name. */
static void lead(struct json *json, const char *name) {
  if (json->follows) g_string_append_c(json->text, ',');
  if (json->depth > 0) {
    g_string_append_c(json->text, '\n');
    for (guint i = 0; i < json->depth; i++) g_string_append(json->text, "  ");
  }
  if (name != NULL) {
    quote(json->text, name);
    g_string_append(json->text, ": ");
  }
  json->follows = TRUE;
}

void json_begin(struct json *json, const char *name, char bracket) {
  lead(json, name);
  g_string_append_c(json->text, bracket);
  json->follows = FALSE;
  json->depth++;
}

void json_end(struct json *json, char bracket) {
  json->depth--;
  if (json->follows) {
    g_string_append_c(json->text, '\n');
    for (guint i = 0; i < json->depth; i++) g_string_append(json->text, "  ");
  }
  g_string_append_c(json->text, bracket);
  json->follows = TRUE;
}

void json_string(struct json *json, const char *name, const char *value) {
  lead(json, name);
  if (value == NULL)
    g_string_append(json->text, "null");
  else
    quote(json->text, value);
}

void json_integer(struct json *json, const char *name, gint64 value) {
  lead(json, name);
  g_string_append_printf(json->text, "%" G_GINT64_FORMAT, value);
}

void json_number(struct json *json, const char *name, double value) {
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];
  lead(json, name);
  g_string_append(json->text, g_ascii_formatd(buffer, sizeof buffer, "%.3f", value));
}

void json_boolean(struct json *json, const char *name, gboolean value) {
  lead(json, name);
  g_string_append(json->text, value ? "true" : "false");
}
