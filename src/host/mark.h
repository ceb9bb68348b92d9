/*
 * mark.h
 *		A data directory that must not be started.
 *
 * While it is rewound or cloned in place a data directory is not whole, and while
 * a clone takes its place nobody must start it.  It is marked by two things that
 * PostgreSQL itself does not tolerate, whoever starts it: a recovery.conf, which
 * since version 12 is refused whatever it is ("using recovery command file ... is
 * not supported"), and search permission for others ("data directory has invalid
 * permissions").  Each alone is the mark.  The first is a FIFO: pg_rewind, which removes what the primary does not have, looks at
 * files, directories and links only, and nobody takes it for a configuration.
 * The second holds while a copying program insists on an empty directory; what
 * is inside stays closed to others.
 */
#ifndef PGHA_MARK_H
#define PGHA_MARK_H

#include <stdbool.h>
#include <stddef.h>

typedef enum PghaMark
{
	PGHA_MARK_NO,
	PGHA_MARK_SET,
	PGHA_MARK_UNKNOWN			/* the directory cannot be looked at */
} PghaMark;

extern PghaMark pgha_mark_is_set(const char *data);

/* Both are durable when they return true; false with a sentence in `error`. */
extern bool pgha_mark_set(const char *data, char *error, size_t error_size);
extern bool pgha_mark_clear(const char *data, char *error, size_t error_size);

#endif							/* PGHA_MARK_H */
