/* SPDX-License-Identifier: MIT */
/* The log that watched processes write: how the reader handles a log that was cut short, or is full. */
#include <glib.h>
#include <string.h>
#include <sys/wait.h>

#include "../../tools/launch.h"

enum { SIZE = 16 * RECORD_UNIT, FIRST = (sizeof(struct log_header) + RECORD_UNIT - 1) / RECORD_UNIT * RECORD_UNIT };

struct reading {
  struct launch launch;
  _Alignas(RECORD_UNIT) char bytes[FIRST + SIZE];
  GString *read;
};

static char nowhere[] = "/nonexistent/log";

static void begin(struct reading *reading) {
  memset(reading, 0, sizeof *reading);
  reading->launch.path = nowhere;
  reading->launch.log = (struct log_header *)(void *)reading->bytes;
  reading->launch.size = reading->launch.log->size = sizeof reading->bytes;
  reading->launch.position = FIRST;
  reading->read = g_string_new(NULL);
  atomic_store(&reading->launch.log->tail, FIRST);
  atomic_store(&reading->launch.log->end, sizeof reading->bytes);
}

/* A record of `units`; one that is not finished has no size yet. */
static void write_record(struct reading *reading, int kind, guint units, gboolean finished) {
  guint64 at = atomic_fetch_add(&reading->launch.log->tail, units * RECORD_UNIT);
  if (at + units * RECORD_UNIT > sizeof reading->bytes) {
    atomic_fetch_add(&reading->launch.log->lost, 1);
    return;
  }
  struct record *record = (struct record *)(void *)(reading->bytes + at);
  record->magic = RECORD_MAGIC;
  record->kind = (guint16)kind;
  record->pid = 1;
  record->args = units == 1 ? 3 : RECORD_ARGS;
  if (finished) atomic_store(&record->size, units * RECORD_UNIT);
}

static void take(const struct record *record, gpointer data) {
  struct reading *reading = data;
  g_string_append_printf(reading->read, "%d ", record->kind);
}

static void take_and_change(const struct record *record, gpointer data) {
  take(record, data);
  g_assert_cmpuint(((struct reading *)data)->read->len, <, 100);
  atomic_store((_Atomic guint32 *)(guintptr)&record->size, 0);
}

static GString *said; /* on stderr */

static void hear(const char *string) {
  g_string_append(said, string);
}

/* What is read, and what is said of the rest; "": nothing. */
static void check(struct reading *reading, const char *wanted, const char *message) {
  g_string_truncate(said, 0);
  launch_drain(&reading->launch, take, reading);
  g_assert_cmpstr(reading->read->str, ==, wanted);
  g_assert_cmpstr(said->str, ==, message);
  g_string_free(reading->read, TRUE);
}

static const char unfinished[] = "atfork: 1 record is unfinished: a process ended, or was stopped, while it wrote\n";

static void test_records_come_in_their_order(void) {
  struct reading reading;
  begin(&reading);
  for (int kind = 1; kind < 5; kind++) write_record(&reading, kind, (guint)kind, TRUE);
  check(&reading, "1 2 3 4 ", "");
}

static void test_a_hole_is_passed(void) {
  struct reading reading;
  begin(&reading);
  write_record(&reading, 1, 1, TRUE);
  write_record(&reading, 2, 3, FALSE);
  write_record(&reading, 3, 2, TRUE);
  write_record(&reading, 4, 1, FALSE);
  check(&reading, "1 3 ", "atfork: 2 records are unfinished: a process ended, or was stopped, while it wrote\n");
}

static void test_what_has_no_room_is_counted(void) {
  struct reading reading;
  begin(&reading);
  for (int kind = 1; kind <= 6; kind++) write_record(&reading, kind, 4, TRUE);
  check(&reading, "1 2 3 4 ", "atfork: 2 records are lost, as there was no space: the result may be incomplete\n");
}

/* Where there was no space once, nobody knows whether a hole was left by that or by a process that ended. */
static void test_a_hole_is_not_told_apart_where_there_was_no_space(void) {
  struct reading reading;
  begin(&reading);
  write_record(&reading, 1, 1, FALSE);
  write_record(&reading, 2, 16, TRUE);
  write_record(&reading, 3, 16, TRUE);
  check(&reading, "", "atfork: 2 records are lost, as there was no space: the result may be incomplete\n");
}

/* Writers had no room for the third, nor for what came after. */
static void test_nothing_is_read_beyond_the_room(void) {
  struct reading reading;
  begin(&reading);
  for (int kind = 1; kind <= 4; kind++) write_record(&reading, kind, 2, TRUE);
  atomic_store(&reading.launch.log->end, FIRST + 4 * RECORD_UNIT);
  check(&reading, "1 2 ", "");
}

/* Behind the first unit of a record that was cut short, as an argument of a program may be. */
static void check_no_record(const struct record *looks_so) {
  struct reading reading;
  begin(&reading);
  write_record(&reading, RECORD_LOADED, 1, TRUE);
  write_record(&reading, RECORD_UNWATCHED, 4, FALSE);
  memcpy(reading.bytes + FIRST + 2 * RECORD_UNIT, looks_so, sizeof *looks_so);
  write_record(&reading, RECORD_MODULE, 1, TRUE);
  check(&reading, "1 3 ", unfinished);
}

static void test_what_only_looks_like_a_record_is_none(void) {
  const struct record sound = {.size = RECORD_UNIT, .magic = RECORD_MAGIC, .kind = RECORD_FORKED, .pid = 1, .args = 3};
  struct record record = sound;
  record.size = 0x78787878;
  check_no_record(&record);
  record.size = RECORD_UNIT + 1;
  check_no_record(&record);
  record = sound;
  record.kind = RECORD_KINDS;
  check_no_record(&record);
  record = sound;
  record.pid = -1;
  check_no_record(&record);
  record = sound;
  record.args = 2;
  check_no_record(&record);
  record = sound;
  record.frames = 2;
  check_no_record(&record);
  record = sound;
  record.text = 9;
  check_no_record(&record);
}

static void test_a_text_has_an_end(void) {
  struct reading reading;
  begin(&reading);
  write_record(&reading, RECORD_MODULE, 2, TRUE);
  struct record *record = (struct record *)(void *)(reading.bytes + FIRST);
  record->args = 3;
  record->text = 8;
  memset(record->words + 3, 'x', 8);
  write_record(&reading, RECORD_LOADED, 1, TRUE);
  check(&reading, "1 ", unfinished);
}

/* What is watched may write anywhere, and what it writes in the header and behind us changes nothing. */
static void test_sizes_are_read_once(void) {
  struct reading reading;
  begin(&reading);
  for (int kind = 1; kind < 3; kind++) write_record(&reading, kind, 1, TRUE);
  reading.launch.log->size = UINT64_MAX;
  atomic_store(&reading.launch.log->tail, UINT64_MAX);
  atomic_store(&reading.launch.log->end, UINT64_MAX);
  launch_drain(&reading.launch, take_and_change, &reading);
  g_assert_cmpstr(reading.read->str, ==, "1 2 ");
  g_string_free(reading.read, TRUE);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  said = g_string_new(NULL);
  g_set_printerr_handler(hear);
  g_test_add_func("/log/order", test_records_come_in_their_order);
  g_test_add_func("/log/hole", test_a_hole_is_passed);
  g_test_add_func("/log/lookalike", test_what_only_looks_like_a_record_is_none);
  g_test_add_func("/log/text", test_a_text_has_an_end);
  g_test_add_func("/log/full", test_what_has_no_room_is_counted);
  g_test_add_func("/log/full-with-a-hole", test_a_hole_is_not_told_apart_where_there_was_no_space);
  g_test_add_func("/log/room", test_nothing_is_read_beyond_the_room);
  g_test_add_func("/log/sizes-are-read-once", test_sizes_are_read_once);
  return g_test_run();
}
