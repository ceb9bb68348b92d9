/*
 * mark.h
 *		A data directory that must not be started.
 *
 * While it is rewound or cloned in place a data directory is not whole.  It is
 * marked by a permission that PostgreSQL does not tolerate ("data directory has
 * invalid permissions"): search for others.  That holds whoever tries to start
 * it, over crashes, and no tool that copies files takes it off.  Nobody gains
 * anything by it: what is inside is closed to others.
 */
#ifndef PGHA_MARK_H
#define PGHA_MARK_H

#include <stdbool.h>
#include <stddef.h>

extern bool pgha_mark_is_set(const char *data);

/* Both are durable when they return true; false with a sentence in `error`. */
extern bool pgha_mark_set(const char *data, char *error, size_t error_size);
extern bool pgha_mark_clear(const char *data, char *error, size_t error_size);

#endif							/* PGHA_MARK_H */
