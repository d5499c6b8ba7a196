/* SPDX-License-Identifier: MIT */
/*
 * What the library's files call each other by, with its prefix for the linker: a program that is linked with the static
 * library may have a table_new() of its own.  Included before anything else in each file, by the compiler's options.
 */
#ifndef ATFORK_NAMES_H
#define ATFORK_NAMES_H

#define arena_free atfork_arena_free
#define arena_take atfork_arena_take
#define chunk_count_until atfork_chunk_count_until
#define fork_catch_up atfork_fork_catch_up
#define fork_end atfork_fork_end
#define fork_enter atfork_fork_enter
#define fork_is_handled atfork_fork_is_handled
#define fork_spawned atfork_fork_spawned
#define fork_take_place atfork_fork_take_place
#define fork_wait atfork_fork_wait
#define fork_wait_for_burial atfork_fork_wait_for_burial
#define frame_begin atfork_frame_begin
#define frame_begin_anew atfork_frame_begin_anew
#define frame_end atfork_frame_end
#define frame_innermost atfork_frame_innermost
#define frame_keep_own atfork_frame_keep_own
#define frame_needs atfork_frame_needs
#define frame_oldest atfork_frame_oldest
#define frame_over atfork_frame_over
#define frame_sequence atfork_frame_sequence
#define frame_wait atfork_frame_wait
#define frame_wait_for_burial atfork_frame_wait_for_burial
#define lineage_hash atfork_lineage_hash
#define lineage_is_valid atfork_lineage_is_valid
#define lineage_of_child atfork_lineage_of_child
#define lock_enter atfork_lock_enter
#define lock_inherit atfork_lock_inherit
#define lock_leave atfork_lock_leave
#define os_at_unload atfork_os_at_unload
#define os_back_off atfork_os_back_off
#define os_clock atfork_os_clock
#define os_environment atfork_os_environment
#define os_forget atfork_os_forget
#define os_handle_forks atfork_os_handle_forks
#define os_is_first_thread atfork_os_is_first_thread
#define os_is_set atfork_os_is_set
#define os_map atfork_os_map
#define os_map_size atfork_os_map_size
#define os_may_be_child_of atfork_os_may_be_child_of
#define os_mutex_owner atfork_os_mutex_owner
#define os_page_size atfork_os_page_size
#define os_process atfork_os_process
#define os_say atfork_os_say
#define os_thread atfork_os_thread
#define os_unmap atfork_os_unmap
#define os_wait atfork_os_wait
#define os_wake_all atfork_os_wake_all
#define os_wipe_on_fork atfork_os_wipe_on_fork
#define process_lineage atfork_process_lineage
#define process_look atfork_process_look
#define process_mark_address atfork_process_mark_address
#define process_number_child atfork_process_number_child
#define process_seed atfork_process_seed
#define process_spawned atfork_process_spawned
#define process_token atfork_process_token
#define put_digest atfork_put_digest
#define put_number atfork_put_number
#define registry_add atfork_registry_add
#define registry_adopt atfork_registry_adopt
#define registry_bury atfork_registry_bury
#define registry_bury_due atfork_registry_bury_due
#define registry_collect atfork_registry_collect
#define registry_find_owned atfork_registry_find_owned
#define registry_retire atfork_registry_retire
#define registry_retire_owned atfork_registry_retire_owned
#define registry_silence atfork_registry_silence
#define slot_bury atfork_slot_bury
#define slot_read atfork_slot_read
#define slot_silence atfork_slot_silence
#define slot_write atfork_slot_write
#define table_copy atfork_table_copy
#define table_find atfork_table_find
#define table_find_place atfork_table_find_place
#define table_first_chunk atfork_table_first_chunk
#define table_free atfork_table_free
#define table_keep_detail atfork_table_keep_detail
#define table_last_chunk atfork_table_last_chunk
#define table_new atfork_table_new
#define table_next_bucket atfork_table_next_bucket
#define table_previous_bucket atfork_table_previous_bucket
#define table_search atfork_table_search
#define token_read atfork_token_read
#define token_write atfork_token_write
#define waiting_tell atfork_waiting_tell
#define walk_backward atfork_walk_backward
#define walk_begin atfork_walk_begin
#define walk_describe atfork_walk_describe
#define walk_end atfork_walk_end
#define walk_forward atfork_walk_forward
#define walk_go_on atfork_walk_go_on
#define walk_name atfork_walk_name
#define walk_only atfork_walk_only
#define walk_refuses atfork_walk_refuses
#define walk_was_retired atfork_walk_was_retired

#endif
