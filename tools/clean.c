/* SPDX-License-Identifier: MIT */
#include "clean.h"

void clean_add(GString *to, const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text == NULL ? "" : text, -1);
  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
    gunichar character = g_utf8_get_char(at);
    g_string_append_unichar(to, g_unichar_iscntrl(character) ? '?' : character);
  }
}
