/*
 * nearest.h
 *		The name that was probably meant.
 */
#ifndef PGHA_NEAREST_H
#define PGHA_NEAREST_H

/*
 * Which of the names is like `name` but for a few letters (case does not count)?
 * NULL if none is.
 */
extern const char *pgha_nearest(const char *name, const char *const *names, int count);

#endif							/* PGHA_NEAREST_H */
