/*
 * control.h
 *		What pg_control says, for processes that cannot look into shared memory for it.
 */
#ifndef PGHA_CONTROL_H
#define PGHA_CONTROL_H

#include "postgres.h"

#include "catalog/pg_control.h"

#define PGHA_TOO_LOW_SIZE	400

/* False if it cannot be read now: it may just be being written.  Never raises an error. */
extern bool PghaReadControl(ControlFileData *control);

/*
 * Are settings of this server lower than the WAL that it replays needs?  A hot
 * standby then pauses its replay, and takes no promotion.  `text`, if not NULL,
 * says which, in a sentence.
 */
extern bool PghaSettingsTooLow(const ControlFileData *control, char *text, size_t size);

#endif							/* PGHA_CONTROL_H */
