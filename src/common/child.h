/*
 * child.h
 *		What a process that was just forked does before it goes its own way.
 *
 * All of it is async-signal-safe.  The parent calls fflush(NULL) before fork().
 */
#ifndef PGHA_CHILD_H
#define PGHA_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/* Closes every descriptor but the standard streams and `keep` (-1: none). */
extern void pgha_close_files(int keep);

/* Every signal has its usual effect; which of them are blocked stays. */
extern void pgha_default_signals(void);

/* No signal is blocked. */
extern void pgha_unblock_signals(void);

/* Gets the signal when the parent dies.  False if it has died already. */
extern bool pgha_end_with(pid_t parent, int signal_number);

/*
 * A fork that goes on in this program: no descriptor of the parent's but the
 * standard streams and `keep`, none of its handlers, no signal blocked.
 */
extern void pgha_become_child(int keep);

/*
 * The same for one that is about to call exec(): reads from `input`
 * (-1: /dev/null), writes to `output`, and does not speak for the service that this one may be.  False with
 * errno.
 */
extern bool pgha_become_program(int input, int output);

#endif							/* PGHA_CHILD_H */
